"""`stillhouse plan --try`, in processes of its own, against what ends a job on a cluster."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, write_round
from stillhouse.cli.main import app
from stillhouse.errors import DataError
from stillhouse.rounds.trial import distinct
from stillhouse.tables import Table

EXAMPLES = Path(__file__).parents[2] / "examples"
MAIN = "from stillhouse.cli.main import main; main()"
WITHOUT_SCIPY = "import sys; sys.modules['scipy.io'] = None; " + MAIN


def preflight(
    bench: Bench, code: str = MAIN, before: tuple[str, ...] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a person on that machine would call it."""
    root = bench.workspace.root
    arguments = ["plan", "--try", str(bench.file), "--root", str(root), "--format", "csv"]
    command = [*before, sys.executable, "-c", code, *arguments, "--data-root", str(root / "data")]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Method and network of each row, and its problem."""
    lines = [line.split(",", 7) for line in done.stdout.splitlines()[1:]]
    return {f"{line[1]} {line[2]}": line[7] for line in lines}


def test_cells_that_differ_in_their_seed_are_one(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/1", 90.0)
    bench.finish(f"{PURE}/0", 80.0)
    found = {path: part.left for path, part in distinct(bench.look()).items()}
    assert found == {f"{TEACHER}/0": 1, f"{PURE}/1": 1, f"{LOGIT}/1": 2, f"{RKD}/1": 2}


def test_a_sound_round_passes_and_leaves_nothing(bench: Bench) -> None:
    done = preflight(bench)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        0,
        f"next: stillhouse run {bench.file} --root {bench.workspace.root}",
    )
    assert rows(done) == dict.fromkeys(
        ("pure ResNet20", "logit ResNetBaby", "rkd ResNetBaby", "pure ResNetBaby"), ""
    )
    assert not bench.workspace.experiments.exists()
    assert [path.name for path in bench.workspace.root.iterdir()] == ["rounds"]


def test_a_missing_module_stops_the_round_before_it_starts(bench: Bench) -> None:
    """What cost round alpha its eight SVHN jobs."""
    write_round(bench.file, datasets=["SVHN"])
    done = preflight(bench, WITHOUT_SCIPY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "SVHN: needs the package scipy, which does not import" in done.stderr
    assert "pip install scipy" in done.stderr


def test_a_missing_dataset_stops_the_round(bench: Bench) -> None:
    write_round(bench.file, datasets=["SVHN"])
    root = bench.workspace.root
    options = ["--root", str(root), "--data-root", str(root / "data")]
    done = CliRunner().invoke(app, ["plan", "--try", str(bench.file), *options])
    assert (done.exit_code, done.stdout) == (1, "")
    assert isinstance(done.exception, DataError)
    assert "SVHN" in done.exception.message
    assert "is missing" in done.exception.message


@pytest.mark.parametrize(
    ("name", "what", "methods", "problem"),
    [
        ("hungry", "torch.empty(1 << 50)", ["pure"], "out of memory"),
        ("shot", "os.kill(os.getpid(), 9)", ["pure", "logit"], "its process was killed, as it is"),
    ],
)
def test_no_memory_is_that_cells_problem_alone(
    bench: Bench, name: str, what: str, methods: list[str], problem: str
) -> None:
    """An allocation that is refused, in a shared process; a kill without a word, in its own."""
    text = (EXAMPLES / "own_model.py").read_text()
    fault = f"        if self.training:\n            {what}\n"  # not when it is looked at before
    changed = text.replace("        first =", f"{fault}        first =", 1)
    (bench.file.parent / f"{name}.py").write_text("import os\n" + changed)
    assert changed != text
    write_round(bench.file, files=[f"{name}.py"], students=[name], methods=methods)
    done = preflight(bench)
    found = rows(done)
    assert (done.returncode, found["pure ResNet20"]) == (1, "")
    assert problem in found[f"pure {name}"]


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def test_a_disk_that_takes_no_checkpoint(bench: Bench) -> None:
    write_round(bench.file, methods=["pure"], students=["ResNet20"])
    done = preflight(bench, preexec_fn=small_files)
    assert done.returncode == 1
    assert all("File too large" in row for row in rows(done).values())


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    """Root is above permissions unless it gives up that capability."""
    bare = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be refused a folder")
    bench.workspace.root.chmod(0o555)
    done = preflight(bench, before=bare if os.geteuid() == 0 else ())
    bench.workspace.root.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"nothing can be written in {bench.workspace.root}" in done.stderr


Say = Callable[[str], None]


def test_space_for_all_runs_is_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight runs left with two checkpoints of 1 GiB each: 16 GiB."""
    from stillhouse.rounds import trial as rehearsal
    from stillhouse.training.dry_run import Trial

    monkeypatch.setattr(
        rehearsal, "_try", lambda group, *_: [Trial(bytes=rehearsal.GIB)] * len(group)
    )

    def look(free: float) -> tuple[Table, bool]:
        usage = shutil._ntuple_diskusage(0, 0, int(free * rehearsal.GIB))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        return rehearsal.rehearse(bench.look(), bench.workspace, None, lambda text: None)  # type: ignore[arg-type]

    assert look(17)[1]
    table, able = look(15)
    assert not able
    assert "may need 16.0 GiB, 15.0 GiB are free" in table.notes[-1]
