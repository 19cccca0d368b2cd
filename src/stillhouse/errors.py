"""The errors a user can meet: one line that says what is wrong, one that says how to mend it."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from stillhouse.causes import Cause, cause_of

SHOWN = 200
CURES = {
    errno.ENOSPC: "free space or quota, then repeat the command",
    errno.EDQUOT: "free space or quota, then repeat the command",
    errno.EROFS: "make it writable, then repeat the command",
    errno.EACCES: "get permission, then repeat the command",
}


class Notice(UserWarning):
    """Something a user should know that changes nothing; the CLI prints it in one line."""


class StillhouseError(Exception):
    """Base of every error meant for the user; the CLI prints it without a traceback.

    `code` is the cause that a run records where it ends with this error.
    """

    exit_code = 1
    code: Cause = "crash"

    def __init__(self, message: str, hint: str = "", code: Cause | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(StillhouseError):
    """A round file or an option is wrong (exit code 2: used wrongly)."""

    exit_code = 2


class DataError(StillhouseError):
    """A dataset is missing, damaged or not what its name promises."""

    code = "bad-data"


class RunError(StillhouseError):
    """A run could not be started, resumed or finished."""


class TrainingError(RunError):
    """Training itself went wrong (non-finite loss, a collapse); named by `reason`."""


def describe(error: BaseException) -> str | None:
    """What went wrong with the system in a line, or None for an error that is none of its."""
    if isinstance(error, StillhouseError):
        return str(error)
    match code_of(error):
        case "oom-gpu":
            return "out of GPU memory"
        case "oom-host":
            return "out of memory: fewer workers at once (--jobs), or a machine with more memory"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        cure = f"; {CURES[error.errno]}" if error.errno in CURES else ""
        return error.strerror + where + cure
    return None


def reason_of(error: BaseException) -> str:
    """What `describe` says of an error; its type and text where that knows nothing better."""
    return describe(error) or f"{type(error).__name__}: {error}"


def code_of(error: BaseException) -> Cause:
    """The cause that an error stands for; `crash` for one that no rule knows."""
    if isinstance(error, StillhouseError):
        return error.code
    if isinstance(error, MemoryError):
        return "oom-host"
    if cause := cause_of(f"{type(error).__name__}: {error}"):
        return cause
    return "missing-module" if isinstance(error, ImportError) else "crash"


def printable(text: str) -> str:
    """The text in one line, without the control characters that would steer a terminal."""
    return printable_lines(" ".join(text.split()))


def printable_lines(text: str) -> str:
    """The text with its lines and tabs, and "?" for every other character that is not printed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def one_line(error: BaseException) -> str:
    """What another library's error says, in one line of at most `SHOWN` characters."""
    text = printable(str(error))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def command_line(command: str, target: object, root: Path) -> str:
    """What to type: `reset --changed` of `tiny` is `stillhouse reset tiny --root demo --changed`.

    The workspace `root` is left out where it is the default, the current folder.
    """
    verb, *options = command.split(" --")
    words = ["stillhouse", *verb.split(), str(target)]
    words += ["--root", str(root)] if root != Path() else []
    return " ".join([shlex.join(words), *(f"--{option}" for option in options)])


def some(names: Sequence[str], shown: int, separator: str = ", ") -> str:
    """Names in one text: the first `shown`, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return separator.join(names[:shown]) + more


def unknown_name(kind: str, name: str, known: Iterable[str], besides: str = "") -> ConfigError:
    """An error for an unknown name: the nearest match, the known ones, and what else may stand."""
    known = sorted(known)
    more = f"; or {besides}" if besides else ""
    hint = f"{nearest(name, known)}known: {', '.join(known)}{more}"
    return ConfigError(f"unknown {kind} '{name}'", hint)


def listed(name: str, known: Sequence[str], most: int = 40) -> str:
    """Return the known names in one text; of more than `most` those that are like `name`."""
    if len(known) <= most:
        return ", ".join(known)
    alike = get_close_matches(name, known, most // 4, cutoff=0.0)
    return some([*alike, *(one for one in known if one not in alike)], most // 4)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'rkd'? ` for the known name that is nearest; empty if none is near."""
    near = get_close_matches(name, known, n=1, cutoff=0.51)
    return f"did you mean '{near[0]}'? " if near else ""
