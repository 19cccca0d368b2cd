"""What all commands have in common: ROUND, exit codes, and what `--format json` writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import ALL
from fake_rounds import LOGIT, PURE, Answer, Bench, write_round
from stillhouse.tables import JSON_FORMAT, Format

ROOT = Path(__file__).parents[2]
Call = Callable[..., Answer]
SITE = "--site slurm.toml"
# Every command that takes a ROUND and does no work, with what it needs besides.
ROUNDS = {
    "plan": "",
    "status": "",
    "reset": "--dry-run",
    "table": "",
    "observe": "",
    "compare": "tiny",
    "doctor": "",
    "analyze": "",
    "list runs": "",
    "cluster submit": f"{SITE} --dry-run",
    "cluster jobs": "",
    "cluster logs": f"{PURE}/0",
}
WORK = {
    "run": "",
    "watch": "",
    "extract": "",
    "report": "",
    "archive": "",
    "verify": "--losses",
    "cluster cancel": "",
    "cluster retry": "",
}


@pytest.fixture
def forms(bench: Bench) -> dict[str, list[str]]:
    """The ways in which the round can be named, each with its options."""
    root = bench.workspace.root
    write_site(root)
    bench.workspace.activate(bench.round, bench.file)
    archive = root / "analysis" / "experiment_kept"
    archive.mkdir(parents=True)
    shutil.copytree(bench.workspace.experiments, archive / "experiments")
    (archive / "experiments" / "round.json").unlink()
    write_round(archive / "round.yaml", round="kept")
    return {
        "a file": ["rounds/tiny.yaml"],
        "a name": ["tiny"],
        "a workspace": [str(root)],
        "an archive by its folder": [str(archive)],
        "an archive by its name": ["kept"],
        "a name below a root": ["tiny", "--root", str(root)],
    }


def write_site(root: Path) -> None:
    """A profile of a Slurm whose queue is empty."""
    for command in ("squeue", "sbatch", "scancel"):
        file = root / "bin" / command
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    commands = f'scheduler = "slurm"\ncommands = "{root}/bin"\ncap = 3\n'
    text = commands + '[resources]\nwalltime = "1:00:00"\n'
    (root / "slurm.toml").write_text(text)


def typed(name: str, round_: list[str], more: str) -> list[str]:
    return [*name.split(), round_[0], *more.split(), *round_[1:]]


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_is_named_in_the_same_ways_everywhere(
    call: Call, forms: dict[str, list[str]], name: str
) -> None:
    answers = {form: call(*typed(name, words, ROUNDS[name])) for form, words in forms.items()}
    assert {form: answer.code for form, answer in answers.items()} == dict.fromkeys(forms, 0)


def test_every_command_of_a_round_is_in_the_table() -> None:
    rounds = {
        name
        for name, command in ALL.items()
        if any("ROUND" in (one.metavar or "") for one in command.params)
    }
    assert rounds | {"verify"} == ROUNDS.keys() | WORK.keys()


@pytest.mark.parametrize(("name", "more"), {**ROUNDS, **WORK}.items())
def test_an_unknown_round_is_2_and_says_where_was_looked(call: Call, name: str, more: str) -> None:
    answer = call(*typed(name, ["gone"], more))
    assert (answer.code, answer.out) == (2, "")
    assert "no round file for 'gone'" in answer.err and "gone.yaml" in answer.err


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_option_is_2(call: Call, name: str) -> None:
    answer = call(*name.split(), "--nonsense")
    assert (answer.code, answer.out) == (2, "") and "--nonsense" in answer.err


@pytest.mark.parametrize("name", [name for name in ROUNDS if name != "cluster logs"])
def test_only_names_what_is_unknown(call: Call, name: str, forms: dict[str, list[str]]) -> None:
    wrong = call(*typed(name, ["tiny"], ROUNDS[name]), "--only", "method=pure,method=logti")
    assert wrong.code == 2
    assert "'logti'" in wrong.err and "did you mean 'logit'" in wrong.err


def test_what_a_workspace_has_no_round_for_is_2(call: Call, tmp_path: Path) -> None:
    assert call("doctor", "--root", str(tmp_path)).code == 2
    assert call("plan").code == 2


CODES = [
    (0, "--help"),
    (0, "plan --power --sd 0.3 --format md"),
    (0, "doctor tiny"),
    (0, "reset tiny --dry-run"),
    (0, "reset tiny --list"),
    (0, "reset tiny --undo"),
    (0, "list datasets"),
    (0, "data check Digits"),
    (0, "cluster check --help"),
    (1, "data check SVHN --data-root nowhere"),
    (1, "cluster retry tiny"),
    (1, "cluster cancel tiny"),
    (1, f"run {ROOT}/rounds/alpha.yaml --device cpu"),
    (1, "import nowhere --as x"),
    (1, "reset tiny --as other"),
    (2, ""),
    (2, "cluster"),
    (2, "table tiny --accuracy median"),
    (2, "table tiny --against gone"),
    (2, "analyze tiny --figure gone"),
    (2, "analyze tiny --format gif"),
    (2, "plan tiny --time --try"),
    (2, "plan tiny --new other"),
    (2, "reset tiny --undo --list"),
    (2, "verify Digits/pure/ResNet56/0"),
    (2, "doctor Digits/gone"),
    (2, "check gone.py"),
    (2, "data check gone"),
    (2, "list methods gone"),
    (2, "cluster check gone"),
    (2, f"cluster logs tiny {LOGIT}/9"),
]


@pytest.mark.parametrize(("code", "words"), CODES, ids=lambda value: str(value))
def test_exit_codes(
    call: Call, forms: dict[str, list[str]], bench: Bench, code: int, words: str
) -> None:
    write_round(bench.file.with_name("other.yaml"), round="other")
    assert call(*words.split()).code == code


def test_published_results_are_named_by_round_or_file(call: Call, bench: Bench) -> None:
    header = "dataset,method,model,seed,accuracy,kind,status,epoch\n"
    results = bench.file.with_name("old_results.csv")
    results.write_text(header + "Digits,pure,ResNetBaby,0,79.5,final_epoch,completed,2\n")
    answers = [
        call("table", "tiny", "--against", named)
        for named in ("old", "rounds/old_results.csv", "rounds/old.yaml", str(results.resolve()))
    ]
    assert [(one.code, one.out) for one in answers] == [(0, answers[0].out)] * 4
    assert "79.50" in answers[0].out
    assert "gone_results.csv" in call("table", "tiny", "--against", "gone.yaml").err


def test_what_was_found_is_1(call: Call, bench: Bench) -> None:
    bench.end(f"{LOGIT}/1", "failed", "the loss is not finite")
    assert call("doctor", "tiny").code == 1
    assert call("status", "tiny").code == 0  # it shows; the doctor judges
    bench.begin(f"{PURE}/1")
    assert call("reset", "tiny", "--unlock").code == 1


JSON = {
    **{name: typed(name, ["tiny"], more) for name, more in ROUNDS.items()},
    "reset nothing": ["reset", "tiny", "--only", "seed=1"],
    "reset listed": ["reset", "tiny", "--list"],
    "reset undone": ["reset", "tiny", "--undo"],
    "reset unlocked": ["reset", "tiny", "--unlock"],
    "seeds": ["table", "tiny", "--style", "seeds"],
    "cost": ["table", "tiny", "--style", "cost"],
    "settings": ["compare", "tiny", "tiny", "--settings"],
    "power": ["plan", "--power", "--sd", "0.3"],
    "list methods": ["list", "methods"],
    "a method": ["list", "methods", "logit"],
    "list models": ["list", "models"],
    "list datasets": ["list", "datasets"],
    "data check": ["data", "check", "Digits"],
}
for drawn in ("analyze", "cluster submit"):
    del JSON[drawn]
SLOW = {"import", "extract", "check", "verify", "cluster check"}


@pytest.mark.parametrize("words", JSON.values(), ids=JSON)
def test_json_is_one_document_with_its_format(
    call: Call, forms: dict[str, list[str]], words: list[str]
) -> None:
    answer = call(*words, "--format", "json")
    content = json.loads(answer.out)
    assert content["format"] == JSON_FORMAT
    assert {len(row) for row in content["rows"]} <= {len(content["columns"])}
    assert set(content) == {"format", "title", "columns", "rows", "notes"}


def test_every_command_that_writes_json_is_tested() -> None:
    writing = {
        name
        for name, command in ALL.items()
        if any(isinstance(one.default, Format) for one in command.params)
    }
    tested = [" ".join(words) for words in JSON.values()]
    assert {name for name in writing if not any(one.startswith(name) for one in tested)} == SLOW
