"""Every command on terminals of other encodings, without colours, and without any terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, TEACHER, Bench, edit
from stillhouse.cli import output
from stillhouse.cli.main import main
from stillhouse.cli.output import open_streams, show
from stillhouse.tables import Format, Table

SITE = str(Path(__file__).parents[2] / "sites" / "slurm.toml")
COMMANDS = (
    "--help",
    "plan --help",
    "plan tiny --device cpu",
    "status tiny",
    "table tiny",
    "table tiny --style seeds",
    "table tiny --format json",
    "doctor tiny",
    "observe tiny",
    "compare tiny other",
    "compare --settings rounds/tiny.yaml rounds/other.yaml",
    "analyze tiny --figure accuracy --out figures",
    "plan --power --sd 0.3",
    "list methods",
    "list models",
    "list datasets",
    "list methods logit",
    "list runs tiny",
    "data check Digits",
    f"cluster check {SITE}",
    f"cluster submit tiny --site {SITE} --dry-run",
    "cluster jobs tiny",
    f"cluster logs tiny {LOGIT}/0",
    "cluster cancel tiny",
    "cluster retry tiny",
    "reset --unlock tiny",
    f"verify {LOGIT}/0 --steps 0 --device cpu",
    "run tiny --device cpu --jobs 1 --data-root nowhere --only model=ResNetBaby,method=pure,seed=1",
    "plan --try tiny --device cpu --only seed=7",
    "verify --losses tiny --device cpu --only seed=7",
    "import nöwhere→ --as x",
    "check nöwhere→.py",
    "train tiny nöwhere→",
    "plan nöwhere→\udcff",
    "plan tiny --format x→",
    "plam",
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A workspace with two round files, in one of which some runs are done."""
    bench = Bench(tmp_path)
    Bench(tmp_path, round="other", known_issues=["Δ → 0"])
    bench.file.rename(bench.file.with_name("other.yaml"))
    bench = Bench(tmp_path, known_issues=["Δ → 0"])
    bench.workspace.activate(bench.round, bench.file)
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{PURE}/0", 80.0)
    bench.finish(f"{LOGIT}/0", 81.0)
    bench.end(f"{LOGIT}/1", "failed", "ended ±0 → \x1b[31mred")
    for seed in (0, 1):
        known = {"model": "ResNet20", "seed": seed}
        edit(bench.folder(f"{LOGIT}/{seed}").run, lambda run, k=known: run["teacher"].update(k))
    monkeypatch.chdir(tmp_path)
    empty_scheduler(tmp_path / "bin", monkeypatch)
    return bench


def empty_scheduler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's commands, as if nothing were queued: a real one may wait for its controller."""
    folder.mkdir()
    for name in ("sbatch", "scancel", "sinfo", "squeue"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("words", "encoding"),
    [*((words, "latin-1") for words in COMMANDS), *((words, "ascii") for words in COMMANDS[1:5])],
)
def test_a_terminal_that_lacks_characters(
    bench: Bench, words: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No command fails of it, and none writes bytes of another encoding."""
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["stillhouse", *words.split()])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding=encoding))
    with pytest.raises(SystemExit):
        main()
    written = out.getvalue() + err.getvalue()
    text = written.decode(encoding)
    assert text.strip()
    assert not {"â", "Â", "\x1b"} & set(text)  # bytes of UTF-8, read as the encoding


def test_every_command_prints_through_say() -> None:
    """`typer.echo` writes UTF-8 to an ASCII terminal, and control characters as they are."""
    cli = Path(output.__file__).parent
    assert [file.name for file in cli.glob("*.py") if "typer.echo" in file.read_text()] == []


def test_columns_stay_aligned_where_characters_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1"))
    open_streams()
    rows = (("±1 → 2", "x"), ("Δ ≥ 0 …", "x"), (None, "x"))
    show(Table("a — b", ("é", "Z"), rows), Format.rich)
    title, _, head, rule, *lines = out.getvalue().decode("latin-1").splitlines()
    assert title.strip() == "a - b" and set(rule.split()[0]) == {"-"}
    assert [line.split()[:3] for line in lines[:2]] == [["±1", "->", "2"], ["diff", ">=", "0"]]
    assert {line.index("x") for line in lines[:3]} == {head.index("Z")}


def test_control_characters_of_records_do_not_reach_the_terminal(
    bench: Bench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(Table("\x1b]0;title\x07", ("\x9b2J",), (("a\u202eb\nc",),), ("\x1b[2J",)), Format.md)
    out = capfd.readouterr().out
    assert "?]0;title?" in out and "?2J" in out and "a?b c" in out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(out)


@pytest.mark.parametrize("close", [">&-", "2>&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("words", ["status tiny", "plan --help", "plan nowhere"])
def test_closed_descriptors(bench: Bench, words: str, close: str) -> None:
    line = f"exec {sys.executable} -m stillhouse {words} {close}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "nowhere" in words else 0), done.stderr
    assert "Traceback" not in done.stderr
    if "2>" not in close:
        assert done.stderr.startswith("error: no round file for 'nowhere'") == ("nowhere" in words)


@pytest.mark.parametrize(
    ("environment", "styled"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
    ids=["xterm", "dumb", "NO_COLOR", "empty NO_COLOR"],
)
def test_a_terminal_is_sent_what_it_understands(
    bench: Bench, environment: dict[str, str], styled: bool
) -> None:
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    for words, shown in (["status", "tiny"], b"ResNetBaby"), (["status", "--help"], b"--only"):
        line = [sys.executable, "-m", "stillhouse", *words]
        subprocess.run(line, stdout=theirs, env=kept | environment, check=True)
        written = os.read(ours, 100_000)
        assert (b"\x1b[" in written) is styled
        assert shown in re.sub(rb"\x1b\[[0-9;]*m", b"", written)
    os.close(theirs)
    os.close(ours)


def test_a_figure_needs_no_backend_of_the_environment(bench: Bench) -> None:
    line = [sys.executable, "-m", "stillhouse", "analyze", "tiny", "--out", "figures"]
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    subprocess.run(line, env=environment, check=True, capture_output=True)
    assert Path("figures/tiny-Digits-accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("device", ["mps", "xpu", "meta", "cpu:1", "cuda:x", "toaster", ""])
@pytest.mark.parametrize("command", ["plan", "plan --try", "run", "verify --losses"])
def test_a_device_that_cannot_train_is_refused_before_anything_starts(
    bench: Bench,
    command: str,
    device: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = sorted(bench.workspace.experiments.rglob("*"))
    monkeypatch.setattr(sys, "argv", ["stillhouse", *command.split(), "tiny", "--device", device])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr() == (
        "",
        f"error: --device {device}: stillhouse trains on a CPU or a CUDA GPU\n"
        "  hint: expected auto, cpu, cuda, or cuda:0 and so on for one of several GPUs\n",
    )
    assert sorted(bench.workspace.experiments.rglob("*")) == before
