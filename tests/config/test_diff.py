from __future__ import annotations

from typing import Any

import pytest

from stillhouse.config.diff import diff_rounds
from stillhouse.config.schema import Round
from stillhouse.errors import ConfigError

BASE: dict[str, Any] = {
    "round": "one",
    "datasets": ["Cifar10", "SVHN"],
    "teacher": "ResNet112",
    "students": ["ResNet56"],
    "methods": ["pure", "logit"],
    "seeds": [0],
}


def make(**fields: Any) -> Round:
    return Round.model_validate(BASE | fields)


def test_equal_rounds_have_no_rows() -> None:
    table = diff_rounds(make(), make(round="two", motivation="other", known_issues=["x"]))
    assert table.columns == ("Parameter", "One", "Two", "Rationale")
    assert table.rows == ()


def test_rows_and_reasons() -> None:
    b = make(
        round="two",
        seeds=[0, 1],
        training={"label_smoothing": 0.1, "augmentation": ["pad_crop", "flip"]},
        changes={"seeds": "spread"},
    )
    assert diff_rounds(make(), b).rows == (
        ("seeds", "0", "0, 1", "spread"),
        ("label_smoothing", "0", "0.1", None),
        ("augmentation", "none", "pad_crop, flip", None),
    )


def test_overrides_stand_beside_the_value_without_them() -> None:
    a = make(overrides={"models": {"ResNet56": {"epochs": 150}}})
    b = make(
        round="two",
        overrides={
            "models": {"ResNet112": {"warmup_epochs": 5}},
            "methods": {"logit": {"temperature": 2.0}},
        },
        changes={"warmup_epochs": "deep", "temperature (logit)": "softer"},
    )
    assert diff_rounds(a, b).rows == (
        ("warmup_epochs (ResNet112)", "0", "5", "deep"),
        ("temperature (logit)", "default", "2", "softer"),
    )


def test_an_override_of_what_only_one_round_trains_is_no_row() -> None:
    a = make(overrides={"models": {"ResNet112": {"warmup_epochs": 5}}})
    assert [row[0] for row in diff_rounds(a, make(teachers_from="one")).rows] == ["teachers_from"]


def test_legacy_notes_stand_beside_what_stillhouse_does() -> None:
    a = make(legacy={"test_view": "resized", "teacher_weights": "best"})
    rows = diff_rounds(a, make(training={"validation": 500})).rows
    assert rows[1:] == (
        ("test_view", "resized", "the unaltered image", None),
        ("teacher_weights", "best", "best epoch on the validation split", None),
    )
    assert diff_rounds(a, a).rows == ()
    reverse = diff_rounds(make(), a).rows
    assert reverse[0] == ("test_view", "the unaltered image", "resized", None)


def test_a_method_note_stands_beside_the_paper_followed() -> None:
    (row,) = diff_rounds(make(legacy={"logit": "no T squared"}), make()).rows
    assert row[:2] == ("logit", "no T squared")
    assert "Hinton" in str(row[2])


def test_sweeps_and_the_loss_weight_alpha() -> None:
    b = make(distillation={"total": "convex", "alpha": 0.5}, sweep={"alpha": [0.25, 0.5]})
    assert [row[:3] for row in diff_rounds(make(), b).rows] == [
        ("total", "each method's published total", "(1 - alpha) * CE + alpha * w * L"),
        ("loss weight alpha", "—", "0.5"),
        ("sweep (loss weight alpha)", "default", "0.25, 0.5"),
    ]


def test_a_reason_for_what_does_not_differ_is_refused() -> None:
    b = make(round="two", seeds=[1], changes={"epochs": "longer", "seeds": "why"})
    with pytest.raises(ConfigError) as caught:
        diff_rounds(make(), b)
    message, hint = str(caught.value).split("\n")
    assert message.startswith("round two: changes gives a reason for epochs")
    assert hint.endswith("differs: seeds")


def test_reasons_against_another_round_are_left_out_and_said() -> None:
    b = make(round="two", seeds=[1], compares_to="zero", changes={"epochs": "longer"})
    table = diff_rounds(make(), b)
    assert table.rows == (("seeds", "0", "1", None),)
    assert table.notes == ("two gives its reasons relative to zero: none shown.",)


def test_networks_of_one_name_with_other_weights_or_options_are_a_row() -> None:
    def teacher(**options: Any) -> list[dict[str, Any]]:
        return [{"name": "ResNet112", "as": "ResNet112", **options}]

    frozen = teacher(weights="a.pth", sha256="a" * 64, train=False)
    a = make(networks=frozen)
    b = make(round="two", networks=teacher(weights="b.pth", sha256="b" * 64))
    reasoned = b.model_copy(update={"changes": {"network": "trained longer"}})
    row = ("network (ResNet112)", f"train false, weights {'a' * 16}", f"weights {'b' * 16}")
    assert diff_rounds(a, reasoned).rows == ((*row, "trained longer"),)
    moved = frozen[0] | {"weights": "elsewhere/a.pth"}
    assert diff_rounds(a, make(round="two", networks=[moved])).rows == ()
    assert diff_rounds(make(), b).rows[0][1] == "no options"
