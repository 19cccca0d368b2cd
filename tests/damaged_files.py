"""Torn and hostile files, each made from a seed and a number so that a failure can be replayed.

FUZZ_CASES=10000 pytest tests/fuzz       more cases than the default 1,000
FUZZ_SEED=7 pytest tests/fuzz            other cases
FUZZ_ONLY=status.json:123 pytest tests/fuzz -k run_files    one case again
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stillhouse.errors import StillhouseError
from stillhouse.runs.records import dump_sealed

CASES = int(os.environ.get("FUZZ_CASES", "1000"))
SEED = os.environ.get("FUZZ_SEED", "0")
ONLY = os.environ.get("FUZZ_ONLY", "")
SHOWN = 3
COUNTS = pytest.StashKey[dict[str, Counter[str]]]()

Content = bytes | Callable[[Path], None]

DEEP = 100_000
WRONG = (
    *(b"", b"\n", b"{}", b"[]", b"null", b"0", b'"text"', b"NaN", b"\x00" * 64, b"\xff\xfe" * 20),
    *(b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b"-" * DEEP, b"9" * DEEP),
    *(
        b"\x80\x04\x95",
        b"PK\x03\x04" + b"\0" * 30,
        b"\x1f\x8b\x08\0",
        b"%PDF-1.4",
        b"<html></html>",
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**9, 10**400, -(2**63), 0.5, 1e308, float("nan"), "", "x"),
    *(float("inf"), [], {}, [[]], {"a": None}, "0" * 64, "../../etc/passwd", "\x1b[2J\x00\n", "é"),
    *("9" * 5000, [0] * 1000, {"sha256": "0" * 64}),
)


def fuzz(
    config: pytest.Config, target: str, per_thousand: int, case: Callable[[Random], str]
) -> None:
    """Run a target's share of the cases. `case` returns its outcome in a word, or raises."""
    numbers = list(range(max(1, CASES * per_thousand // 1000)))
    if ONLY:
        wanted, _, number = ONLY.partition(":")
        numbers = [int(number)] if wanted == target else []
    counts = config.stash.setdefault(COUNTS, {}).setdefault(target, Counter())
    failures = []
    for number in numbers:
        try:
            counts[case(Random(f"{SEED} {target} {number}"))] += 1
        except Exception:  # noqa: BLE001 - every case is tried, whatever another one raises
            failures.append(f"FUZZ_SEED={SEED} FUZZ_ONLY={target}:{number}\n{last_lines()}")
    assert not failures, f"{len(failures)} of {len(numbers)} failed\n" + "\n".join(failures[:SHOWN])


def last_lines() -> str:
    return "".join(traceback.format_exc(limit=-4))


def clear(error: StillhouseError, *names: Path | str) -> str:
    """The outcome `refused`, if the error is one that helps: one line, the file, a cure."""
    text = str(error.message)
    assert any(str(name) in text for name in names), f"names none of {names}: {text}"
    assert "\n" not in text, f"several lines: {text}"
    assert error.hint, f"no cure: {text}"
    return "refused"


@contextmanager
def replaced(path: Path, content: Content) -> Iterator[None]:
    """A file that holds something else, or is something else, for a while."""
    original = path.read_bytes()
    path.unlink()
    try:
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_bytes(original)


def damaged(random: Random, content: bytes, *others: bytes) -> bytes:
    """The bytes of a file after an accident: torn, flipped, emptied, mixed up, another file's."""
    size = len(content)
    start = random.randrange(size)
    end = min(size, start + random.choice((1, 8, 512, 4096)))
    match random.choice(("torn", "flipped", "zeroed", "longer", "cut", "twice", "wrong", "other")):
        case "torn":
            return content[: random.choice((start, size - 1, 1, 32))]
        case "flipped":
            return flipped(random, content)
        case "zeroed":
            return content[:start] + bytes(end - start) + content[end:]
        case "longer":
            return content + random.randbytes(random.choice((1, 100)))
        case "cut":
            return content[:start] + content[end:]
        case "twice":
            return content[:end] + content[start:]
        case "wrong":
            return random.choice(WRONG)
        case _:
            return random.choice((*others, content[::-1]))


def flipped(random: Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 8))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def another_kind(random: Random, others: tuple[Path, ...]) -> Callable[[Path], None]:
    """What stands where a file should: a folder, a pipe, a link, nothing."""

    def place(path: Path) -> None:
        match random.choice(("folder", "pipe", "loop", "dangling", "endless", "other", "missing")):
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "loop":
                path.symlink_to(path)
            case "dangling":
                path.symlink_to(path.with_name("nowhere"))
            case "endless":
                path.symlink_to("/dev/zero")
            case "other":
                path.symlink_to(random.choice(others))
            case _:
                return

    return place


def edited(random: Random, content: bytes, sealed: bool) -> bytes:
    """A JSON object after somebody's edit: fields gone, of another kind, from a later format."""
    value = json.loads(content)
    value.pop("sha256", None)
    for _ in range(random.choice((1, 1, 2))):
        holder = value
        while inner := [item for item in holder.values() if isinstance(item, dict) and item]:
            if random.random() < 0.4:
                break
            holder = random.choice(inner)
        key = random.choice([*holder])
        match random.choice(("gone", "other", "later")):
            case "gone":
                del holder[key]
            case "other":
                holder[key] = random.choice(VALUES)
            case _:
                value["format"] = random.choice((2, 10**6, 10**400, "2", None, -1, 1.5))
    try:
        if sealed:
            return dump_sealed({"format": 1, **value})
    except ValueError:
        return json.dumps(value).encode()
    return json.dumps(value).encode()
