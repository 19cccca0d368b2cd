"""`stillhouse list methods NAME` says of every method what it is, weighs, adds and costs."""

from __future__ import annotations

import pytest

from fake_rounds import ROUND
from stillhouse import methods
from stillhouse.config.schema import Round, RunConfig, Teacher
from stillhouse.errors import ConfigError
from stillhouse.show import explain as explain_module
from stillhouse.show.explain import explain
from stillhouse.tables import Table


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example pair small enough for a test."""
    for name, value in {
        "DATASET": "Digits",
        "TEACHER": "ResNet20",
        "STUDENT": "ResNetBaby",
    }.items():
        monkeypatch.setattr(explain_module, name, value)


def value(table: Table, ending: str) -> str:
    (found,) = (row[1] for row in table.rows if str(row[0]).endswith(ending))
    return str(found)


@pytest.mark.parametrize("method", methods.names())
def test_every_method_has_a_card_and_is_explained(method: str) -> None:
    card = methods.load(method).card
    assert card.formula and card.layers and card.hazards
    assert all(len(hazard) <= 100 and not hazard.endswith(".") for hazard in card.hazards)
    table = explain(method, None)
    said = {str(row[0]).split(": ")[-1] for row in table.rows}
    wanted = {
        "mixup, cutmix",
        "source",
        "formula",
        "layers",
        "taught by",
        "parameters",
        "hazard",
        "loss",
        "with",
    }
    assert said == wanted | {"extra parameters", "time"}
    assert (value(table, "time") == "the unit") == (method == "pure")


def test_weights_ratio_and_extra_parameters_are_the_methods_own() -> None:
    logit = explain("logit", None)
    assert value(logit, "loss") == "0.1 ce + 0.9 kd (kd : ce = 9)"
    assert value(logit, "extra parameters") == "0 trained"
    fitnets = value(explain("fitnets", None), "extra parameters")
    assert fitnets == f"{32 * 32 + 32 + 2 * 32:,} trained"  # 1x1 convolution, bias, batch norm
    factor = value(explain("factor_transfer", None), "extra parameters")
    assert "frozen (pretrained for 5 epochs, once per teacher)" in factor


def test_a_round_gives_its_cells_with_sweep_and_overrides() -> None:
    changes = {
        "distillation": {"total": "convex"},
        "sweep": {"alpha": [0.25, 0.5]},
        "overrides": {"methods": {"logit": {"temperature": 2.0}}},
    }
    table = explain("logit", Round.model_validate(ROUND | changes))
    rows = [row for row in table.rows if row[0] in ("with", "loss")]
    cell = "Digits, ResNet20 to ResNetBaby, alpha"
    assert rows == [
        ("with", f"{cell} 0.25"),
        ("loss", "0.75 ce + 0.25 kd (kd : ce = 0.333333)"),
        ("with", f"{cell} 0.5"),
        ("loss", "0.5 ce + 0.5 kd (kd : ce = 1)"),
    ]


def test_a_method_that_is_unknown_or_not_in_the_round_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown method 'logits'"):
        explain("logits", None)
    with pytest.raises(ConfigError, match="round tiny: 'nst'"):
        explain("nst", Round.model_validate(ROUND))


def test_the_example_is_taught_as_the_method_says() -> None:
    example: RunConfig = explain_module._example("self")
    assert example.teacher == Teacher(model="ResNetBaby", seed=0)
    assert explain_module._example("ce_scaled").teacher is None
