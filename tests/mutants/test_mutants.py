"""The list of mutants matches the code, and the runner tells killed ones from survivors."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mutants.runner import Mutant, Project, read_list, run

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "src" / "stillhouse"
LIST = read_list(HERE / "list.toml")


def test_there_are_enough_mutants_of_different_names() -> None:
    assert len({one.name for one in LIST}) == len(LIST) >= 40


@pytest.mark.parametrize("mutant", LIST, ids=lambda one: one.name)
def test_each_changes_one_place_and_names_tests_that_are_there(mutant: Mutant) -> None:
    assert mutant.matches(PACKAGE), f"{mutant.file}: '{mutant.old}' must stand there exactly once"
    assert mutant.new != mutant.old and "\n" not in mutant.old + mutant.new
    ast.parse((PACKAGE / mutant.file).read_text().replace(mutant.old, mutant.new))
    files = [HERE.parent / test.partition("::")[0] for test in mutant.tests]
    assert files and all(file.is_file() for file in files)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    package, tests = tmp_path / "src" / "sums", tmp_path / "tests"
    package.mkdir(parents=True)
    tests.mkdir()
    (package / "__init__.py").write_text("")
    (package / "add.py").write_text("def add(a, b):\n    return a + b\n")
    (tests / "test_add.py").write_text(
        "from sums.add import add\n\ndef test_add():\n    assert add(2, 0) == 2\n"
    )
    return Project(package, tests, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a + b", "a * b", "killed"),
        ("a + b", "a - b", "SURVIVED"),
        ("a - b", "a + b", "NO MATCH"),
        ("return", "returns", "NOT RUN"),
    ],
)
def test_what_becomes_of_a_mutant(project: Project, old: str, new: str, said: str) -> None:
    lines: list[str] = []
    mutant = Mutant("one", "add.py", old, new, ("test_add.py",))
    code = run(project, [mutant], lines.append)
    assert (code, lines[1].split("  ")[0]) == (0 if said == "killed" else 1, said)
    assert lines[2].startswith("1 of 1 killed" if said == "killed" else "0 of 1 killed")
    assert (f"one {said}" in lines[2]) is (said != "killed")
    assert "a + b" in (project.package / "add.py").read_text()


def test_tests_that_fail_anyway_kill_nothing(project: Project) -> None:
    (project.tests / "test_add.py").write_text("def test_add():\n    assert 0\n")
    lines: list[str] = []
    mutant = Mutant("one", "add.py", "a + b", "a * b", ("test_add.py",))
    assert run(project, [mutant], lines.append) == 1
    assert lines[-1].startswith("the tests fail without any change")
