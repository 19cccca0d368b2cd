"""The command line: exit codes, formats, the next command, and errors without a traceback."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, Answer, Bench, write_round

ROUNDS = Path(__file__).parents[2] / "rounds"
ALPHA, BETA = str(ROUNDS / "alpha.yaml"), str(ROUNDS / "beta.yaml")


Call = Callable[..., Answer]


LISTINGS = [
    ("plan", "tiny", "--device", "cpu"),
    ("status", "tiny"),
    ("table", "tiny"),
    ("compare", "--settings", ALPHA, BETA),
    ("data", "check", "Digits"),
]
NEXT = {
    "plan": "next: stillhouse run tiny",
    "status": "next: stillhouse run tiny",
    "table": "next: stillhouse status tiny",
    "compare": f"next: stillhouse plan {BETA}",
    "data": "next: stillhouse plan ROUND",
}


@pytest.mark.parametrize("words", LISTINGS, ids=lambda words: words[0])
@pytest.mark.parametrize("format", ["rich", "md", "csv", "latex", "json"])
def test_every_listing_has_every_format_and_says_what_is_next(
    call: Call, words: tuple[str, ...], format: str
) -> None:
    answer = call(*words, "--format", format)
    assert answer.code == 0
    if format in ("rich", "md"):
        assert (answer.last, answer.err) == (NEXT[words[0]], "")
        return
    assert answer.err == NEXT[words[0]] + "\n"
    if format == "json":
        table = json.loads(answer.out)
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert table["rows"]
    elif format == "csv":
        header, *rows = csv.reader(io.StringIO(answer.out))
        assert rows
        assert {len(row) for row in rows} == {len(header)}
    else:
        assert answer.out.startswith("\\begin{table}")
        assert answer.out.endswith("\\end{table}\n")


def test_the_list_of_models_says_how_networks_of_a_library_are_named(call: Call) -> None:
    text = call("list", "models", "--format", "md").out
    assert "torchvision/NAME" in text and "timm/NAME" in text and "stillhouse[timm]" in text
    assert call("list", "models", "--format", "csv").out.count("NAME") == 0


def test_the_tables_of_several_datasets_are_one_for_programs(call: Call, tmp_path: Path) -> None:
    two = str(write_round(tmp_path / "two.yaml", datasets=["Digits", "SVHN"]))
    table = json.loads(call("table", two, "--format", "json").out)
    header, *rows = csv.reader(io.StringIO(call("table", two, "--format", "csv").out))
    assert table["columns"] == header
    assert [["" if cell is None else str(cell) for cell in row] for row in table["rows"]] == rows
    assert {(row[0], row[1]) for row in rows} == {
        ("Digits", "round tiny, Digits: test accuracy (%), final epoch"),
        ("SVHN", "round tiny, SVHN: test accuracy (%), final epoch"),
    }
    assert call("table", two, "--format", "md").out.count("test accuracy (%)") == 2


def test_the_next_command_keeps_the_root(call: Call, bench: Bench) -> None:
    root = str(bench.workspace.root)
    assert call("status", "tiny", "--root", root).last == f"next: stillhouse run tiny --root {root}"


def test_a_finished_round_suggests_its_table(call: Call, bench: Bench) -> None:
    for path in bench.runs:
        if bench.folder(path).completed() is None:
            bench.finish(path, 70.0)
    assert call("status", "tiny").last == "next: stillhouse table tiny"
    answer = call("run", "tiny", "--device", "cpu")
    assert (answer.code, answer.last) == (0, "next: stillhouse table tiny")


def test_a_round_is_found_by_name_and_by_path(call: Call, bench: Bench) -> None:
    by_name, by_path = call("status", "tiny"), call("status", str(bench.file))
    assert by_name.code == by_path.code == 0
    assert by_name.out.splitlines()[:-1] == by_path.out.splitlines()[:-1]


def test_diff_shows_what_changed_and_why(call: Call) -> None:
    out = call("compare", "--settings", ALPHA, BETA, "--format", "md").out
    header = next(line for line in out.splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in header.strip("|").split("|")][-1] == "Rationale"
    assert "label_smoothing" in out.replace(" ", "_").lower()
    assert "smoothed teachers are known to weaken logit distillation" in out


def test_table_shows_the_accuracy_asked_for(call: Call, bench: Bench) -> None:
    assert "test accuracy (%), final epoch" in call("table", "tiny").out
    assert "test accuracy (%), best epoch" in call("table", "tiny", "--accuracy", "best").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("status", "gamma"), "error: no round file for 'gamma'"),
        (("status", "none/such.yaml"), "error: no round file for 'none/such.yaml'"),
        (("compare", "--settings", ALPHA, "gone.yaml"), "gone.yaml"),
        (("table", "tiny", "--accuracy", "median"), "error: --accuracy median"),
        (("status", "tiny", "--only", "color=red"), "'color=red' is not key=value"),
        (("status", "tiny", "--only", "seed=9"), "unknown seed '9'"),
        (("train", "tiny", "Digits/pure/ResNet20/9"), "unknown run 'Digits/pure/ResNet20/9'"),
        (("train", "tiny", f"{PURE}/0", f"{PURE}/1"), "do not share dataset, seed"),
        (("train", "tiny", f"{LOGIT}/0", f"{LOGIT}/1"), "do not share dataset, seed"),
        (("status", "tiny", "--format", "pdf"), "'pdf' is not one of"),
        (("status",), "Missing argument 'ROUND'"),
        (("status", "tiny", "--nonsense"), "No such option"),
        (("run", "tiny", "--jobs", "0"), "--jobs"),
        (("distil", "tiny"), "No such command 'distil'"),
        (("plan", "tiny", "--device", "toaster"), "stillhouse trains on a CPU or a CUDA GPU"),
        (("run", "tiny", "--device", "toaster"), "stillhouse trains on a CPU or a CUDA GPU"),
    ],
)
def test_wrong_use_is_2_with_a_message(call: Call, words: tuple[str, ...], message: str) -> None:
    answer = call(*words)
    assert answer.code == 2
    assert message in " ".join(answer.err.replace("│", " ").split())
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("round: [", "broken.yaml"),
        ("round: tiny\nround: twice\n", "broken.yaml:2"),
        ("- a\n- list\n", "broken.yaml"),
        ("", "broken.yaml"),
        ("round: x\nmetods: [pure]\n", "metods"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "status", "table", "run"])
def test_a_broken_round_file_is_named(call: Call, command: str, text: str, message: str) -> None:
    Path("broken.yaml").write_text(text)
    answer = call(command, "broken.yaml")
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert message in answer.err


def test_what_cannot_be_done_is_1(call: Call, tmp_path: Path) -> None:
    legacy = call("run", ALPHA, "--device", "cpu")
    assert (legacy.code, legacy.out) == (1, "")
    assert "round 'alpha' is a record of what was done and cannot be run" in legacy.err
    trained = call("train", ALPHA, "Cifar10/pure/ResNet56/0")
    assert trained.code == 1
    missing = call("run", BETA, "--data-root", str(tmp_path), "--root", str(tmp_path / "b"))
    assert missing.code == 1
    assert "hint: stillhouse data fetch" in missing.err
    assert not (tmp_path / "b").exists()


def test_a_second_round_in_a_workspace_is_1_and_shows_nothing_of_the_first(
    call: Call, bench: Bench
) -> None:
    bench.workspace.activate(bench.round, bench.file)
    write_round(Path("other.yaml"), round="other", training={"epochs": 9})
    refused = call("run", "other", "--device", "cpu")
    assert refused.code == 1
    assert "round 'tiny' is active" in refused.err
    assert "90.00" in call("table", "tiny").out
    assert "90.00" not in call("table", "other").out
    assert "done" not in call("status", "other").out


def test_help_is_0_and_nothing_is_help(call: Call) -> None:
    answer = call("--help")
    assert answer.code == 0
    for command in ("plan", "run", "status", "table", "compare", "list", "data", "cluster"):
        assert f" {command} " in answer.out


def test_unlock_of_a_round_and_of_a_run(call: Call, bench: Bench) -> None:
    answer = call("reset", "--unlock", "tiny")
    assert (answer.code, answer.last) == (0, "next: stillhouse run tiny")
    assert "no run is held" in answer.out
    bench.begin(f"{PURE}/1")
    answer = call("reset", "--unlock", f"{PURE}/1")
    assert answer.code == 1 and "REFUSED" in answer.out
