"""`plan --choose`: the best value by validation, in a round with other seeds and all images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_rounds import Bench, edit, write_round
from small_runs import Lab
from stillhouse.cli.main import app
from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.yaml_file import read_yaml
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.choose import best, search_note, trials, write_final
from stillhouse.rounds.provenance import footnotes
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"
SEARCH: dict[str, Any] = {
    "methods": ["pure", "logit", "rkd"],
    "training": {"epochs": 2, "validation": 100},
    "sweep": {"temperature": [4, 1, 16]},
}
DATASET = '''"""Digits with some test labels shuffled."""
import torch
from stillhouse import data
from stillhouse.data.base import make_dataset

SPEC = data.DatasetSpec(name="{name}", label="{name}", classes=10)

def load(spec, root):
    train, test = (lambda d: (d.train, d.test))(data.load("Digits", root))
    labels, rows = test.labels.clone(), torch.arange({shuffled})
    labels[rows] = labels[rows.flip(0)]
    return make_dataset(spec, (train.images, train.labels), (test.images, labels))
'''


def search(folder: Path, validation: dict[str, float], **changes: Any) -> Bench:
    """A search whose runs are done, by temperature: their validation accuracies; test otherwise."""
    bench = Bench(folder, **{**SEARCH, **changes})
    for path, run in bench.runs.items():
        value = validation.get(str(run.axes.get("temperature", "")), 50.0)
        bench.finish(path, 100 - value)
        accuracy = {"accuracy": value + run.seed}

        def measured(result: dict[str, Any], found: dict[str, float] = accuracy) -> None:
            result["final"]["validation"] = found

        edit(bench.folder(path).result, measured)
    return bench


def test_the_best_by_validation_is_chosen_though_the_test_says_otherwise(tmp_path: Path) -> None:
    bench = search(tmp_path, {"1.0": 60.0, "4.0": 80.0, "16.0": 70.0})
    found = trials(bench.look())
    assert {method: len(points) for method, points in found.items()} == {"logit": 3, "rkd": 1}
    chosen = best(found["logit"])
    assert chosen is not None
    assert (chosen.values, chosen.runs, chosen.mean) == ({"temperature": 4.0}, 2, 80.5)


def test_of_equal_means_the_smaller_value_is_chosen(tmp_path: Path) -> None:
    found = trials(search(tmp_path, {"1.0": 70.0, "4.0": 70.0, "16.0": 60.0}).look())
    chosen = best(found["logit"])
    assert chosen is not None and chosen.values == {"temperature": 1.0}


def test_the_final_round_has_the_values_other_seeds_and_all_images(tmp_path: Path) -> None:
    overrides = {"methods": {"logit": {"epochs": 2, "validation": 50}}}
    bench = search(
        tmp_path, {"1.0": 60.0, "4.0": 80.0, "16.0": 70.0}, overrides=overrides, seeds=[0, 4]
    )
    survey = bench.look()
    final = load_round(write_final(survey, bench.file, trials(survey)))
    assert (final.round, final.compares_to) == ("tiny_final", "tiny")
    assert (final.seeds, final.sweep, final.teacher_seeds) == ((5, 6), {}, None)
    assert final.overrides.methods == {"logit": {"epochs": 2, "temperature": 4.0}}
    runs = expand(final)
    assert {run.training.validation for run in runs} == {0}
    assert {run.seed for run in runs} == {5, 6}
    assert {run.path for run in runs} & set(bench.runs) == set()
    assert final.search is not None
    assert final.search.model_dump() == {
        "round": "tiny",
        "seeds": (0, 4),
        "trials": {"logit": 3, "rkd": 1},
    }
    with pytest.raises(RunError, match="exists"):
        write_final(survey, bench.file, trials(survey))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"teacher_seeds": [0]}, (2,)),
        ({"teacher_seeds": [7, 8]}, None),
        ({"teachers_from": "../elsewhere"}, (0, 1)),
        ({"teachers_from": "../elsewhere", "teacher_seeds": [3]}, (3,)),
    ],
)
def test_given_teachers_stay_and_own_ones_get_new_seeds(
    given: dict[str, Any], expected: tuple[int, ...] | None, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "experiments").mkdir(parents=True)
    bench = search(tmp_path / "here", {}, **given)
    survey = bench.look()
    final = load_round(write_final(survey, bench.file, trials(survey)))
    assert (final.seeds, final.teacher_seeds) == ((2, 3), expected)


def test_tables_name_the_search_and_warn_of_unequal_trials(tmp_path: Path) -> None:
    bench = search(tmp_path, {})
    survey = bench.look()
    final = load_round(write_final(survey, bench.file, trials(survey)))
    notes = search_note(final)
    assert "logit 3, rkd 1" in notes[0] and "tiny" in notes[0]
    assert len(notes) == 2
    shown = footnotes(Survey(final, []), "Digits")
    assert {*notes} <= {*shown}
    assert final.search is not None
    equal = final.search.model_copy(update={"trials": {"logit": 3, "rkd": 3}})
    assert len(search_note(final.model_copy(update={"search": equal}))) == 1
    assert search_note(bench.round) == ()


def test_a_value_of_which_a_run_failed_is_not_chosen(tmp_path: Path) -> None:
    bench = search(tmp_path, {"1.0": 60.0, "4.0": 80.0, "16.0": 70.0})
    (path,) = [p for p, run in bench.runs.items() if run.axes == {"temperature": 4.0} and run.seed]
    bench.folder(path).result.unlink()
    bench.end(path, "failed", "diverged")
    chosen = best(trials(bench.look())["logit"])
    assert chosen is not None and chosen.values == {"temperature": 16.0}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sweep": {}}, "no sweep"),
        ({"training": {"epochs": 2}}, "no validation images"),
    ],
)
def test_a_round_without_sweep_or_validation_is_refused(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        trials(Bench(tmp_path, **{**SEARCH, **changes}).look())


def test_an_unfinished_search_is_refused(tmp_path: Path) -> None:
    bench = search(tmp_path, {})
    path = next(path for path, run in bench.runs.items() if run.axes)
    bench.folder(path).result.unlink()
    bench.end(path, "stopped", "asked")
    with pytest.raises(RunError, match="not finished") as refused:
        trials(bench.look())
    assert path in str(refused.value)


def test_shuffled_test_labels_choose_the_same_values(tmp_path: Path) -> None:
    """Trained: two datasets that differ in half of the test labels alone."""
    chosen, accuracies = [], []
    for name, shuffled in (("as_published", 0), ("half_shuffled", 180)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(DATASET.format(name=name, shuffled=shuffled))
        file = write_round(
            folder / "search.yaml",
            files=[f"{name}.py"],
            datasets=[name],
            teacher="ResNetBaby",
            methods=["logit"],
            seeds=[0],
            training={
                "epochs": 3,
                "batch_size": 64,
                "learning_rate": 0.05,
                "train_images": 600,
                "validation": 200,
            },
            sweep={"temperature": [1, 8]},
        )
        round_, workspace = load_round(file), Workspace(folder)
        lab = Lab(workspace.experiments, workspace.experiments, folder)
        for run in expand(round_):
            lab.train(resolve(run))
        survey = survey_round(workspace, round_)
        found = trials(survey)
        final = load_round(write_final(survey, file, found))
        chosen.append((final.overrides.methods, [point.mean for point in found["logit"]]))
        results = [cell.state.result for cell in survey.cells]
        accuracies.append([r["final"]["test"]["accuracy"] for r in results if r])
    assert chosen[0] == chosen[1]
    assert len(accuracies[0]) == 3 and accuracies[0] != accuracies[1]


def test_the_page_goes_from_its_search_to_its_final_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of docs/choosing.md, its command, and the file that it writes; runs on paper."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (tmp_path / "block.yaml").write_text(block)
    bench = search(tmp_path, {"1.0": 60.0, "4.0": 80.0}, **read_yaml(tmp_path / "block.yaml").data)
    file = bench.file.rename(tmp_path / "search.yaml")
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^stillhouse (plan .*--choose)$", PAGE.read_text(), re.M)
    found = CliRunner().invoke(app, command.split())
    assert found.exit_code == 0, found.output
    assert "search_final.yaml --root search_final" in found.output
    final = load_round(file.with_name("search_final.yaml"))
    assert final.overrides.methods["logit"] == {"temperature": 4}
    again = CliRunner().invoke(app, command.split())
    assert again.exit_code != 0
