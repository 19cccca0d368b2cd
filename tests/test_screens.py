"""What commands show on terminals of 80 and 100 columns, as far as a machine can judge it."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from screens import WIDTHS, faults, moment
from stillhouse.cli import main as cli

ALPHA = Path(__file__).parents[1] / "rounds"
SHIPPED = Path(__file__).parents[1] / "docs" / "screens.txt"
ROUNDS = (
    "plan {}",
    "plan {} --power",
    "status {}",
    "table {}",
    "table {} --notes",
    "table {} --accuracy best",
    "table {} --style stats",
    "table {} --style stats --notes",
    "table {} --style cost --notes",
    "observe {}",
    "doctor {}",
    "compare {} begun",
    "list runs {}",
    "list methods logit --round {}",
    "reset {} --list",
    "cluster jobs {}",
)
SETTINGS = f"compare --settings {ALPHA}/alpha.yaml {ALPHA}/beta.yaml"
OTHERS = ("list methods", "list models", "list datasets", "plan --power --sd 0.3", SETTINGS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rounds with results and failures, and one in which nothing is done."""
    root = tmp_path_factory.mktemp("screens")
    Bench(root, round="begun", seeds=[0, 1, 2]).file.rename(root / "rounds" / "begun.yaml")
    bench = Bench(root, seeds=[0, 1, 2])
    bench.workspace.activate(bench.round, bench.file)
    for seed in range(3):
        bench.finish(f"{TEACHER}/{seed}", 90.0 + seed)
        bench.finish(f"{PURE}/{seed}", 80.0 + seed, best=83.0)
        bench.finish(f"{LOGIT}/{seed}", 83.0 + seed / 2, best=85.0)
        edit(
            bench.folder(f"{LOGIT}/{seed}").run,
            lambda run: run["config"]["training"].update(validation=0, cuda_graphs=False),
        )
    bench.finish(f"{RKD}/0", 10.0)
    bench.end(f"{RKD}/1", "failed", "the loss term 'distance' is not finite at epoch 0 step 3")
    return root


def show(words: str, width: int | None, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command writes to a terminal of that width, or into a pipe."""

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return width is not None

    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["stillhouse", *words.split()])
    monkeypatch.setattr(sys, "stdout", Terminal(out, encoding="utf-8"))
    monkeypatch.setattr(sys, "stderr", Terminal(out, encoding="utf-8"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, 1, 2, None), out.getvalue().decode()
    return out.getvalue().decode()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", [*ROUNDS, *OTHERS])
def test_a_screen_has_no_fault(
    command: str, width: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for round_ in ("tiny", "begun") if "{}" in command else ("",):
        text = show(command.replace("{}", f"rounds/{round_}.yaml"), width, home, monkeypatch)
        assert text.strip() and faults(text, width) == []


@pytest.mark.parametrize(
    "command", ["table", "table --style stats --notes", "list runs", "observe", "doctor", "status"]
)
def test_a_pipe_drops_nothing_and_has_lines_of_at_most_120(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = show(f"{command} rounds/tiny.yaml", None, home, monkeypatch)
    assert faults(text, 120) == [] and "Not shown" not in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x" * 81, "81 characters"),
        ("Name  Value\n───────────\n\n- a note", "without rows"),
        ("momentum False (now true)", "a word of Python's"),
        ("accuracy nan %", "a word of Python's"),
        ("  None  ", "a word of Python's"),
    ],
)
def test_each_fault_is_found(text: str, fault: str) -> None:
    (found,) = faults(text, 80)
    assert fault in found


def test_words_that_begin_likewise_are_no_fault() -> None:
    assert faults("Name  Value\n───────────\nnone  financial", 80) == []


def test_the_moment_shown_of_a_run_is_from_its_middle() -> None:
    frames = [f"training now  loss\nlogit/0   {n}/3  50 %\nround x ━━ 5 %\n" for n in (1, 2, 3)]
    text = "\r\x1b[2K".join(["", *frames, "logit/0: done: 90 %\n2 of 2 runs done; they are here\n"])
    shown = moment(text)
    assert "2/3" in shown and "1/3" not in shown
    assert shown.endswith("logit/0: done: 90 %\n2 of 2 runs done; they are here")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_screens_in_the_docs_have_no_fault(width: int) -> None:
    parts = re.split(r"^=== (\d+) columns\n\$ (.*)\n", SHIPPED.read_text(), flags=re.MULTILINE)
    shown = [
        (typed.split()[1], faults(text, width))
        for number, typed, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
        if int(number) == width
    ]
    assert {verb for verb, _ in shown} == {"plan", "run", "status", "table", "observe", "doctor"}
    assert [found for _, found in shown if found] == []
