"""The rules of the code base that a machine can check."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "stillhouse"
ROOT = SOURCE.parents[1]
LAYERS = [
    {"causes", "collector", "errors", "fields", "latex", "plugin", "screen", "seeding", "tables"},
    {"data", "models", "runs"},
    {"methods"},
    {"config"},
    {"training"},
    {"rounds"},
    {"cluster", "exchange", "represent"},
    {"stats"},
    {"diagnosis"},
    {"show"},
    {"cli"},
    {"__main__"},
]
BESIDE = {"data": {"runs"}, "models": {"data"}}  # the parts of its own layer that a part uses
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(SOURCE.rglob("*.py"))
OTHERS = ("tests", "benchmarks", "tools", "examples")
FILES = MODULES + sorted(path for name in OTHERS for path in (ROOT / name).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The stillhouse parts a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "stillhouse":
                names = [f"stillhouse.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("stillhouse.")}
    return found & set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part == "__init__":  # what it needs, it imports when it is called
        return
    above = {name for name in imported(path) if LEVEL[name] > LEVEL[part]}
    beside = {name for name in imported(path) if LEVEL[name] == LEVEL[part] and name != part}
    allowed = LAYERS[0] | BESIDE.get(part, set())
    assert above | (beside - allowed) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    long = [
        f"{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 60
    ]
    assert (text.count("\n") <= 400, long) == (True, [])


def test_the_training_loop_reads_in_one_go() -> None:
    assert (SOURCE / "training" / "loop.py").read_text().count("\n") < 200


def test_the_loop_names_no_method() -> None:
    names = {path.stem for path in (SOURCE / "methods").glob("*.py")} - {"__init__", "base"}
    for path in (SOURCE / "training").glob("*.py"):
        words = {
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert words & (names - {"pure"}) == set(), path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plan", "rounds/beta.yaml"],
        *([command, "rounds/digits.yaml"] for command in ("status", "table", "observe", "doctor")),
    ],
)
def test_help_and_the_commands_that_read_import_neither_torch_nor_pandas(
    arguments: list[str], tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom stillhouse.cli.main import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print({'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_package_imports_nothing_by_itself() -> None:
    code = (
        "import sys, stillhouse\n"
        "heavy = ('stillhouse.', 'pandas', 'numpy', 'torch')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(3):
        before = processor_seconds()
        subprocess.run(
            [sys.executable, "-m", "stillhouse", "--help"], check=True, capture_output=True
        )
        times.append(processor_seconds() - before)
    assert min(times) < 1.0


def processor_seconds() -> float:
    """What ended child processes have used: unlike a clock's, not lengthened by other work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
