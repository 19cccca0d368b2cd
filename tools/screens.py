"""Print the main screens of the digits round, as terminals of two widths show them.

Usage: python tools/screens.py [WORKSPACE]

WORKSPACE (default: demo) holds the trained round of `make demo`. `run` is shown on a small part
of the round, which is trained anew below WORKSPACE/screens. Ends with 1 if a screen has a fault.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTHS, LINES = (80, 100), 30
ROUND = "rounds/digits.yaml"
COMMANDS = (
    "plan",
    "run --only method=logit,seed=0",
    "status",
    "table",
    "table --style stats",
    "table --style cost",
    "observe",
    "doctor",
)
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
REDRAWN = re.compile(r"\r?(?:\x1b\[1A)?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")
PYTHON_WORDS = re.compile(r"\b(None|True|False|nan|NaN|inf)\b")
RULE = re.compile(r"^[─-]+$")


def faults(text: str, width: int) -> list[str]:
    """What is wrong with a screen: a wide line, a head without rows, a word of Python's."""
    lines = text.splitlines()
    found = [f"{len(line)} characters: {line}" for line in lines if len(line) > width]
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if RULE.match(line) and not below.strip():
            found.append("the head of a table without rows")
    return found + [f"a word of Python's: {line}" for line in lines if PYTHON_WORDS.search(line)]


def on_terminal(words: list[str], width: int) -> str:
    """All that a command writes to a terminal of some width, without styles."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, width, 0, 0))
    hidden = ("COLUMNS", "LINES")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "stillhouse", *words]
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **options) as process:  # type: ignore[call-overload]
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{written.decode()}")
    return written.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def moment(text: str) -> str:
    """Of a screen that is redrawn: what it showed half-way, and all that stays to the end."""
    frames = REDRAWN.split(text)
    live = [frame for frame in frames if "training now" in frame]
    shown = [frame for frame in live if "%" in frame.split("\n")[1]] or live
    half = shown[len(shown) // 2] if shown else ""
    half = half[half.index("training now") :] if half else ""
    lines = [line for frame in frames for line in frame.split("\n") if not _redrawn(line)]
    return "\n".join([*half.rstrip().split("\n"), "", "(and at its end)", "", *lines]).strip("\n")


def _redrawn(line: str) -> bool:
    text = STYLE.sub("", line).strip()
    return not text or bool(
        re.match(
            r"training now|\S+/\d+  |round \S+ +[━╸╺ ]+|.* runs done(, |; (?!they are))",
            text,
        )
    )


def screens(workspace: str, width: int) -> Iterator[tuple[str, str]]:
    """Each command as it is typed, and what it shows."""
    for command in COMMANDS:
        verb, *options = command.split()
        root = f"{workspace}/screens" if verb == "run" else workspace
        text = on_terminal([verb, ROUND, "--root", root, *options], width)
        if verb == "run":
            text = moment(text)
            shutil.rmtree(ROOT / root)
        lines = STYLE.sub("", text).strip("\n").splitlines()
        typed = " ".join(["stillhouse", verb, ROUND, "--root", root, *options])
        yield typed, "\n".join(line.rstrip() for line in lines)


def main() -> int:
    """Print all screens; 1 if one has a fault."""
    bad, workspace = 0, (sys.argv[1:2] or ["demo"])[0]
    for width in WIDTHS:
        for typed, text in screens(workspace, width):
            sys.stdout.write(f"=== {width} columns\n$ {typed}\n\n{text}\n\n")
            sys.stdout.flush()
            for fault in faults(text, width):
                sys.stderr.write(f"{typed}, {width} columns: {fault}\n")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
