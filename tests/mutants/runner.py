"""One-line changes of the package that its tests must notice.

Each change is made in a fresh copy of the package, and the tests that the list names for it run
against the copy until the first fails. A change that no test notices survived: a test is missing.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

LIMIT = 300.0
TESTS_FAILED = 1  # pytest's exit code; others say that it could not run them
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pytest", "torch", "scipy.stats", "sklearn.datasets"])
Outcome = Literal["killed", "SURVIVED", "NO MATCH", "NOT RUN"]


@dataclass(frozen=True)
class Mutant:
    """`old`, a part of one line of `file` that stands in it once, is replaced by `new`.

    `file` is below the package's folder, `tests` (files or single tests) below the tests' folder.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def matches(self, package: Path) -> bool:
        """Whether `old` stands exactly once in its file."""
        file = package / self.file
        return file.is_file() and file.read_text().count(self.old) == 1


@dataclass(frozen=True)
class Project:
    """A package's folder, its tests, and the folder in which pytest is started."""

    package: Path
    tests: Path
    root: Path


def read_list(file: Path) -> list[Mutant]:
    """The mutants of a list in TOML."""
    found = tomllib.loads(file.read_text())["mutant"]
    return [Mutant(**{**one, "tests": tuple(one["tests"])}) for one in found]


def run(project: Project, mutants: Sequence[Mutant], log: Callable[[str], None]) -> int:
    """Try every mutant, one line each and a summary; 0 if all are killed, else 1."""
    started = time.monotonic()
    tests = list(dict.fromkeys(test for one in mutants for test in one.tests))
    code, output = _test(project, None, tests, stop=False)
    if code != 0:
        log(output)
        log("the tests fail without any change: nothing can be said of the mutants")
        return 1
    log(f"unchanged, {len(tests)} files or tests pass in {time.monotonic() - started:.0f} s")
    outcomes: dict[str, Outcome] = {}
    for one in mutants:
        before = time.monotonic()
        outcomes[one.name], by = _try(project, one)
        seconds = time.monotonic() - before
        log(f"{outcomes[one.name]:9} {one.name:34} {one.file:32} {seconds:5.1f} s  {by}".rstrip())
    bad = [f"{name} {outcome}" for name, outcome in outcomes.items() if outcome != "killed"]
    told = f"; {', '.join(bad)}" if bad else ""
    killed = len(outcomes) - len(bad)
    log(f"{killed} of {len(outcomes)} killed in {time.monotonic() - started:.0f} s{told}")
    return 1 if bad else 0


def _try(project: Project, mutant: Mutant) -> tuple[Outcome, str]:
    """What became of a mutant, and the test that killed it or what kept the tests from running."""
    if not mutant.matches(project.package):
        return "NO MATCH", f"'{mutant.old}' does not stand there exactly once"
    code, output = _test(project, mutant, mutant.tests, stop=True)
    if code == 0:
        return "SURVIVED", ""
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", output, flags=re.MULTILINE)
    if code == TESTS_FAILED and found:
        return "killed", found[1].removeprefix("tests/")
    lines = output.strip().splitlines() or [""]
    return "NOT RUN", lines[-1]


def _test(
    project: Project, mutant: Mutant | None, tests: Sequence[str], stop: bool
) -> tuple[int | None, str]:
    """Run tests against a copy of the package; pytest's exit code (None: too late) and output.

    In a process of its own, forked from one that has imported the large libraries.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy, output = Path(folder) / project.package.name, Path(folder) / "output"
        shutil.copytree(project.package, copy)
        if mutant is not None:
            file = copy / mutant.file
            file.write_text(file.read_text().replace(mutant.old, mutant.new))
            for cached in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
                cached.unlink()
        options = ["-q", "-p", "no:cacheprovider", "--tb=no", *(["-x"] if stop else [])]
        paths = [str(project.tests / test) for test in tests]
        given = (folder, str(project.root), str(output), [*options, *paths])
        process = SERVER.Process(target=_pytest, args=given)
        process.start()
        process.join(LIMIT * (1 if stop else 10))
        if process.is_alive():
            process.kill()
            process.join()
            return None, f"no answer in {LIMIT:.0f} s"
        return process.exitcode, output.read_text()


def _pytest(folder: str, root: str, output: str, arguments: list[str]) -> None:
    """Run pytest in this process, which ends with its exit code; import from `folder` first."""
    with open(output, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(root)
    os.environ["PYTHONPATH"] = folder
    sys.path.insert(0, folder)
    code = int(pytest.main(arguments))
    sys.stdout.flush()
    os._exit(code)
