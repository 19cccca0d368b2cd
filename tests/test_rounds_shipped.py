from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.diff import diff_rounds
from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.legacy import PRACTICES
from stillhouse.config.load import check_parameters, load_round
from stillhouse.config.schema import Round

ROUNDS = Path(__file__).parent.parent / "rounds"
COUNTS = {
    "alpha": 32,
    "beta": 96,
    "beta_gap": 168,
    "beta_controls": 72,
    "fashion": 24,
    "digits": 24,
    "cifar10": 39,
    "beta_small": 72,
    "crd_benchmark": 51,
    "crd_cross": 99,
    "kd_zoo": 78,
    "all_methods": 75,
    "crd_reduced": 24,
}

# SHA-256 over the identities of a round's runs: they may not change, or runs are trained anew.
IDENTITIES = {
    "alpha": "9f5be7ab95f89d2b1b45d7397a556c1b5796d5ae7fd88ae94f49ebb9819bd388",
    "beta": "af3d336adb0c074fcc043d9e650a9dcf1a0e498c7601bfaec8371d78b6ca4fe4",
    "beta_gap": "a9c1dd879bda759f4fc2321d8c6750ee5ba862f64c15708dee1e338c0018a276",
    "beta_controls": "1e44da69b80d822cb89805bae16d8e4182afa6e5f38886b0a83b200b252be6b8",
    "fashion": "e53a3c8d0f89a06958c0971bc8a22835f0558e7f4db5207ccc71aa264e60107e",
    "digits": "88e7d6eccac0a60316a5948ddc251cc029a0638ac5b2163b116c506414149efa",
    "cifar10": "f639b8eaa95882009affcc8d1e46c70ff84ce646838a05a9b69f403f5f96c34b",
    "beta_small": "9ef158b6a2a589ecb3ee5752e6cf32f3b21bdc9fe78cc9c0ea6c83bce201f008",
    "crd_benchmark": "d6701447c84dc871ac27d420d67954fb1bb96d9fe5e876ce3b3e6407b02b34c6",
    "crd_cross": "abda318f319f38899a8f888cf73a9801cf75c093d0a6dcd73bd794ad17d37a5d",
    "kd_zoo": "37910eb001de0262d7dd03b50a94076906ebc4b5c3c6128b0decbca5b60a5ae4",
    "all_methods": "1b78096baeaed05de14b6bf065f3c2fbef50a341dc7e5bddf7e5db9957344e70",
    "crd_reduced": "110ae8526a07f99506c12198d01989b07b5854a463175c3fe3b48a8490970ab1",
}


def load(name: str) -> Round:
    return load_round(ROUNDS / f"{name}.yaml")


def test_every_shipped_round_is_counted_here() -> None:
    assert {path.stem for path in ROUNDS.glob("*.yaml")} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_round_expands(name: str) -> None:
    round_ = load(name)
    check_parameters(round_, ROUNDS / f"{name}.yaml")
    runs = expand(round_)
    assert round_.round == name
    assert len(runs) == len({run.path for run in runs}) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_the_identities_of_a_shipped_round_are_what_they_were(name: str) -> None:
    found = "\n".join(map(identity, expand(load(name))))
    assert sha256(found.encode()).hexdigest() == IDENTITIES[name]


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_round_is_read_in_a_minute(name: str) -> None:
    lines = (ROUNDS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 65
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("# ")


def test_round_alpha_is_the_documents_table() -> None:
    round_ = load("alpha")
    recipe = round_.training
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (150, 128, "sgd")
    assert (recipe.momentum, recipe.weight_decay, recipe.learning_rate) == (0.9, 5e-4, 0.1)
    assert (recipe.schedule, recipe.label_smoothing, recipe.deterministic) == ("cosine", 0.1, True)
    assert (round_.distillation.total, round_.distillation.alpha) == ("convex", 0.5)
    assert (round_.teacher, round_.students, round_.seeds) == ("ResNet112", ("ResNet56",), (0,))
    assert len(round_.datasets) == 4
    assert len(round_.methods) == 7
    assert set(PRACTICES) <= set(round_.legacy)


def test_round_beta_has_what_was_decided() -> None:
    runs = expand(load("beta"))
    for run in runs:
        flip = run.dataset != "SVHN"
        assert run.training.augmentation == (("pad_crop", "flip") if flip else ("pad_crop",))
        assert (run.training.warmup_epochs > 0) == (run.model == "ResNet112")
        assert run.training.label_smoothing == 0
        assert run.training.crop_padding == 4
        assert run.distillation.total == "reference"
        if run.teacher is not None:
            assert run.teacher_path == f"{run.dataset}/pure/ResNet112/{run.seed}"
            assert run.teacher_path in {teacher.path for teacher in runs}
    assert sum(run.model == "ResNet112" for run in runs) == 12


def test_beta_gap_trains_no_teacher_and_keeps_betas_recipe() -> None:
    gap, beta = load("beta_gap"), load("beta")
    assert {run.model for run in expand(gap)} == {"ResNet20", "ResNetBaby"}
    assert gap.training == beta.training
    assert [row[0] for row in diff_rounds(beta, gap).rows] == ["students", "teachers_from"]


def test_beta_controls_keeps_betas_recipe_and_teachers() -> None:
    controls, beta = load("beta_controls"), load("beta")
    assert controls.training == beta.training
    assert [row[0] for row in diff_rounds(beta, controls).rows] == ["methods", "teachers_from"]
    runs = {run.path: run for run in expand(controls)}
    borrowed = runs["Cifar10/shuffled_teacher/ResNet112_to_ResNet56/1"].teacher
    assert borrowed is not None and borrowed.source == "beta"
    own = runs["Cifar10/self/ResNet56_to_ResNet56/1"]
    assert own.teacher is not None and own.teacher.source is None
    assert own.teacher_path == own.pure_path == "Cifar10/pure/ResNet56/1"
    assert own.teacher_path in runs
    assert runs["Cifar10/ce_scaled/ResNet56/1"].teacher is None


def test_what_changed_from_alpha() -> None:
    table = diff_rounds(load("alpha"), load("beta"))
    assert table.title == "What Changed From Alpha"
    assert table.columns == ("Parameter", "Alpha", "Beta", "Rationale")
    assert all(row[3] for row in table.rows)
    found = {row[0]: row[1:3] for row in table.rows}
    assert found["label_smoothing"] == ("0.1", "0")
    assert found["seeds"] == ("0", "0, 1, 2")
    assert found["augmentation"] == ("random_resized_crop, flip", "pad_crop, flip")
    assert found["augmentation (SVHN)"] == ("random_resized_crop, flip", "pad_crop")
    assert found["warmup_epochs (ResNet112)"] == ("0", "5")
    assert found["total"][1] == "each method's published total"
    assert found["test_view"][1] == "the unaltered image"
    assert "cosine matrix" in str(found["rkd"][0])
    assert set(load("alpha").legacy) <= set(found)


def test_the_settings_of_two_rounds() -> None:
    files = [str(ROUNDS / "alpha.yaml"), str(ROUNDS / "beta.yaml")]
    result = CliRunner().invoke(app, ["compare", "--settings", *files, "--format", "md"])
    assert result.exit_code == 0
    assert "| label_smoothing | 0.1 | 0 | " in result.stdout
    assert result.stdout.splitlines()[-1] == f"next: stillhouse plan {files[1]}"
