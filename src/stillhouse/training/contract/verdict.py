"""One check, one verdict; one bug, one report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from stillhouse.errors import StillhouseError, reason_of
from stillhouse.plugin import Files, line_of


class Case(Protocol):
    """The subject of a check, with the custom components that it needs."""

    @property
    def files(self) -> Files:
        """Return those files."""
        ...


Subject = TypeVar("Subject", bound=Case)


class CheckFailed(StillhouseError):
    """A broken rule of the contract."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check: `reason` is empty if it passed.

    `line` is the line of the error in the custom component.
    """

    check: str
    reason: str
    line: str = ""


@dataclass(frozen=True)
class Bug:
    """One bug and the checks that it breaks."""

    reason: str
    line: str
    checks: tuple[str, ...]


def require(kept: bool, broken: str, hint: str = "") -> None:
    """Raise CheckFailed unless a rule is kept."""
    if not kept:
        raise CheckFailed(broken, hint)


def run_checks(
    checks: Mapping[str, Callable[[Subject], None]], subject: Subject
) -> Iterator[Verdict]:
    """Run every check by its name; an error of the subject is a verdict too."""
    for name, check in checks.items():
        try:
            check(subject)
            yield Verdict(name, "")
        except Exception as error:  # noqa: BLE001 - it is foreign code and may raise anything
            yield Verdict(name, reason_of(error), _line(subject.files, error))


def bugs(verdicts: Iterable[Verdict]) -> list[Bug]:
    """Return the failures in order; checks with the same line or reason are one bug."""
    groups: list[list[Verdict]] = []
    for verdict in verdicts:
        if not verdict.reason:
            continue
        for group in groups:
            if any(_same(verdict, other) for other in group):
                group.append(verdict)
                break
        else:
            groups.append([verdict])
    return [Bug(g[0].reason, g[0].line, tuple(v.check for v in g)) for g in groups]


def _same(one: Verdict, other: Verdict) -> bool:
    return one.reason == other.reason or (bool(one.line) and one.line == other.line)


def _line(files: Files, error: Exception) -> str:
    lines = ((file.path, line_of(file, error)) for file in files)
    return next((f"{path}:{line}" for path, line in lines if line), "")
