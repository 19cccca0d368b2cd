"""What an imported round's records tell of settings, times and weights, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from script_records import MODULES, TRACEBACK, WALLTIME, ScriptRounds, log
from stillhouse.cli.main import app
from stillhouse.config.diff import diff_rounds
from stillhouse.config.load import load_round
from stillhouse.config.schema import Training
from stillhouse.errors import RunError
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds import cost
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.timings import Timings
from stillhouse.rounds.workspace import Workspace
from stillhouse.training import timing
from test_rounds_shipped import ROUNDS

TEACHER = "Cifar10/pure/ResNet112/0"
PURE = "Cifar10/pure/ResNet56/0"
STUDENT = "ResNet112_to_ResNet56/0"
LOGIT = f"Cifar10/logit/{STUDENT}"
FACTOR = f"Cifar10/factor_transfer/{STUDENT}"


@pytest.fixture
def scripts(tmp_path: Path) -> ScriptRounds:
    return ScriptRounds(tmp_path / "source")


def bring_in(scripts: ScriptRounds, recipe: Path | None = None) -> Import:
    return import_round(scripts.root, "earlier", scripts.root.parent / "earlier", recipe)


def run_file(done: Import, path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (done.file.parent / "experiments" / path / "run.json").read_text()
    )
    return found


def ask(done: Import, *command: str) -> str:
    shown = CliRunner().invoke(app, [*command, "earlier", "--root", str(done.file.parent)])
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.output.split())


def test_what_the_records_do_not_tell_is_unknown(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0, 60.0])
    scripts.run(LOGIT, [50.0, 60.0])
    scripts.run(FACTOR, [50.0, 60.0])
    done = bring_in(scripts)
    recipe = [name for name in Training.model_fields if name != "epochs"]
    assert {"precision", "augmentation", "label_smoothing"} <= set(recipe)
    assert run_file(done, TEACHER)["unknown"] == [f"training.{name}" for name in recipe]
    logit = [name for name in run_file(done, LOGIT)["unknown"] if not name.startswith("training")]
    assert "parameters.temperature" not in logit
    factor = run_file(done, FACTOR)["unknown"]
    assert "parameters.factor_channels" in factor or "parameters.rate" in factor
    assert "label smoothing, augmentation" in ask(done, "table")
    assert "batch size" in ask(done, "table")


def test_unknown_settings_are_not_compared_as_our_defaults(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0, 60.0])
    scripts.run(PURE, [50.0, 60.0])
    done = bring_in(scripts)
    own = load_round(done.file)
    told = {row[0]: row[1:3] for row in diff_rounds(own, load_round(ROUNDS / "alpha.yaml")).rows}
    assert told["label_smoothing"] == ("unknown", "0.1")
    assert told["precision"] == ("unknown", "fp32")
    assert told["epochs"] == ("2", "150")


def test_a_recipe_tells_what_the_records_do_not(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0, 60.0])
    scripts.run(PURE, [50.0, 60.0])
    done = bring_in(scripts, ROUNDS / "alpha.yaml")
    assert run_file(done, TEACHER)["unknown"] == []
    assert "Unknown" not in ask(done, "table")


def test_a_setting_that_was_recorded_is_known(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0], config={"batch_size": 64})
    unknown = run_file(bring_in(scripts), TEACHER)["unknown"]
    assert "training.batch_size" not in unknown and "training.momentum" in unknown


@pytest.mark.parametrize("temperature", [4.0, 2.0])
def test_a_recorded_temperature_is_kept(scripts: ScriptRounds, temperature: float) -> None:
    scripts.run(TEACHER, [50.0])
    scripts.run(LOGIT, [50.0], config={"temperature": temperature})
    config = run_file(bring_in(scripts), LOGIT)
    assert config["config"]["parameters"] == {"temperature": temperature}
    assert "parameters.temperature" not in config["unknown"]


def test_a_temperature_that_was_not_recorded_is_unknown(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0])
    scripts.run(LOGIT, [50.0], config={"temperature": None, "alpha": None})
    unknown = run_file(bring_in(scripts), LOGIT)["unknown"]
    assert {"parameters.temperature", "distillation.alpha"} <= set(unknown)


def test_a_runs_own_temperature_is_noted_where_the_round_has_another(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0])
    for seed, temperature in enumerate((4.0, 4.0, 2.0)):
        path = f"{LOGIT[:-1]}{seed}"
        scripts.run(path, [50.0], config={"temperature": temperature})
    notes = bring_in(scripts).notes
    assert (f"{LOGIT[:-1]}2", "recorded temperature 2.0, the round says 4.0") in notes


def test_the_time_of_a_job_that_also_pretrained_is_no_time_per_epoch(scripts: ScriptRounds) -> None:
    told = log(0, (50.0, 51.0), (60.0, 61.0), seconds=600)
    for path in (TEACHER, LOGIT, FACTOR):
        scripts.run(path, [50.0, 60.0], log=told)
    done = bring_in(scripts)
    survey = survey_round(Workspace(done.file.parent), load_round(done.file))
    times = {cell.config.path: cell.folder.records()[0].get("time") for cell in survey.cells}
    assert times == {TEACHER: {"seconds": 300.0}, LOGIT: {"seconds": 300.0}, FACTOR: None}


def test_terms_of_an_import_says_that_it_has_no_weights(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0])
    scripts.run(LOGIT, [50.0])
    done = bring_in(scripts)
    shown = CliRunner().invoke(
        app, ["verify", "--losses", "earlier", "--root", str(done.file.parent)]
    )
    assert isinstance(shown.exception, RunError)
    assert "has no weights" in shown.exception.message


def test_plan_of_an_import_takes_recorded_times(
    scripts: ScriptRounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(*_: object) -> float:
        raise AssertionError("timed on this machine")

    monkeypatch.setattr(timing, "measure", probe)
    cut = {"status": "in_progress", "epoch": 0, "max_acc": 51.0}
    told = log(0, (50.0, 51.0), seconds=60)
    scripts.run(TEACHER, [50.0, 60.0], log=log(0, (50.0, 51.0), (60.0, 61.0), seconds=7200))
    scripts.run(TEACHER[:-1] + "1", status=cut, log=told, errors=MODULES + WALLTIME)
    scripts.run(LOGIT, errors=MODULES + TRACEBACK, log=log(0))
    done = bring_in(scripts)
    survey = survey_round(Workspace(done.file.parent), load_round(done.file))
    known = cost.recorded_costs(survey)
    timed = cost.timed_costs(survey, "cpu", known, Timings(), lambda text: None)
    assert timed == known and known[TEACHER[:-1] + "1"].alone == pytest.approx(3600)
    shown = ask(done, "plan")
    assert "unknown" in shown
    assert "for 1 of the 2 runs that are left, by the epoch times in the records" in shown
    assert "next: stillhouse status" in shown
