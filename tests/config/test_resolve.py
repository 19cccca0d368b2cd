"""Parameters that came after format 1 are recorded only where they differ from their default."""

from __future__ import annotations

from typing import ClassVar

import pytest

from stillhouse import methods
from stillhouse.config.format_1 import PARAMETERS
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.methods.logit import Logit

RUN = RunConfig(
    dataset="Digits",
    method="logit",
    model="ResNetBaby",
    seed=0,
    teacher=Teacher(model="ResNet20", seed=0),
)


class Later(Logit):
    class Config(Logit.Config):
        sharpness: float = 1.0

    name: ClassVar[str] = "logit"


class Own(Logit):
    class Config(Logit.Config):
        weight: float = 1.0


def test_a_later_parameter_is_recorded_only_where_it_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(methods, "load", lambda name, files: Later)
    monkeypatch.setattr(Later.Config, "__module__", Logit.__module__)
    assert resolve(RUN).parameters == {"temperature": 4.0}
    set_ = RUN.model_copy(update={"parameters": {"sharpness": 2.0}})
    assert resolve(set_).parameters == {"temperature": 4.0, "sharpness": 2.0}


@pytest.mark.parametrize("method", sorted(PARAMETERS))
def test_parameters_of_format_1_are_recorded_with_their_defaults(method: str) -> None:
    run = RUN.model_copy(update={"method": method})
    assert tuple(resolve(run).parameters) == PARAMETERS[method]


def test_a_later_parameter_that_a_users_own_method_inherits_is_no_new_setting_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(methods, "load", lambda name, files: Own)
    assert resolve(RUN).parameters == {"temperature": 4.0, "weight": 1.0}
    standardised = RUN.model_copy(update={"parameters": {"standardise": True}})
    assert resolve(standardised).parameters == {
        "temperature": 2.0,
        "standardise": True,
        "weight": 1.0,
    }
