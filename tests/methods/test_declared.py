"""What is read from the text of a custom method is what Python makes of its classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse import methods
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError
from stillhouse.plugin import read_plugin

HEAD = '"""Own."""\n'
CONFIG = """
    class Config(Logit.Config):
        weight: float = 1.0
"""
LOGIT = ("temperature", "standardise")
DERIVED = {
    "inherits all": (
        "from stillhouse.methods.logit import Logit\nclass OwnKd(Logit):\n    pass\n",
        LOGIT,
    ),
    "adds a field": (
        f"from stillhouse.methods.logit import Logit\nclass OwnKd(Logit):{CONFIG}",
        (*LOGIT, "weight"),
    ),
    "of one that inherits": (
        "from stillhouse.methods import self as own_pure\nclass OwnKd(own_pure.Self):\n    pass\n",
        LOGIT,
    ),
    "changes a default": (
        "import stillhouse.methods.rkd as rkd\nclass OwnKd(rkd.Rkd):\n"
        "    class Config(rkd.Rkd.Config):\n"
        "        one: int = 1\n        angle_weight: float = 3.0\n",
        ("distance_weight", "angle_weight", "embedding", "one"),
    ),
    "by its full path": (
        "import stillhouse.methods.logit\nclass OwnKd(stillhouse.methods.logit.Logit):\n    pass\n",
        LOGIT,
    ),
    "names the base's config": (
        "from stillhouse.methods.base import Method\nfrom stillhouse.methods.logit import Logit\n"
        "class OwnKd(Method):\n    Config = Logit.Config\n",
        LOGIT,
    ),
    "a base of its own": (
        "from typing import ClassVar\nfrom stillhouse.methods.base import Method, MethodConfig\n"
        "class Base(Method):\n    class Config(MethodConfig):\n        one: int = 1\n"
        '        known: ClassVar[int] = 3\n    taught_by = "student"\n'
        "class OwnKd(Base):\n    class Config(Base.Config):\n        two: int = 2\n",
        ("one", "two"),
    ),
    "a base that has its name": (
        "from stillhouse.methods.logit import Logit\nclass Logit(Logit):\n    pass\n"
        f"class OwnKd(Logit):{CONFIG}",
        (*LOGIT, "weight"),
    ),
    "starts anew": (
        "from stillhouse.methods.base import MethodConfig\n"
        "from stillhouse.methods.logit import Logit\nclass OwnKd(Logit):\n"
        "    class Config(MethodConfig):\n        one: int = 1\n",
        ("one",),
    ),
    "nobody teaches": (
        "from stillhouse.methods.label_smoothing import LabelSmoothing\n"
        "class OwnKd(LabelSmoothing):\n    pass\n",
        ("smoothing",),
    ),
}


@pytest.mark.parametrize("case", DERIVED)
def test_fields_and_teacher_are_inherited(case: str, tmp_path: Path) -> None:
    text, fields = DERIVED[case]
    path = tmp_path / "own_kd.py"
    path.write_text(HEAD + text)
    files = (read_plugin(path),)
    kind = methods.load("own_kd", files)
    assert methods.declared("own_kd", files).parameters == tuple(kind.Config.model_fields) == fields
    assert methods.declared("own_kd", files).taught_by == kind.taught_by
    assert methods.declared("own_kd", files).unread is None
    assert (
        methods.declared("own_kd", files).label == "own_kd"
    )  # never that of the base: two rows alike


ROUND = """
round: trial
datasets: [Digits]
teacher: ResNet20
students: [ResNetBaby]
methods: [own_kd]
files: [own_kd.py]
seeds: [0]
overrides:
  methods:
    own_kd: {temperature: 2.0}
"""


def test_a_round_sets_an_inherited_parameter(tmp_path: Path) -> None:
    (tmp_path / "own_kd.py").write_text(HEAD + DERIVED["adds a field"][0])
    (tmp_path / "trial.yaml").write_text(ROUND)
    round_ = load_round(tmp_path / "trial.yaml")
    assert round_.overrides.methods == {"own_kd": {"temperature": 2.0}}


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("from elsewhere import Base\nclass OwnKd(Base):\n    pass\n", "Base"),
        ("import elsewhere\nclass OwnKd(elsewhere.make(1)):\n    pass\n", r"elsewhere.make\(1\)"),
        (
            "from stillhouse.methods.base import Method\nfrom elsewhere import Shared\n"
            "class OwnKd(Method):\n    class Config(Shared):\n        one: int = 1\n",
            "Shared",
        ),
    ],
)
def test_a_base_that_cannot_be_followed_is_named_where_it_matters(
    text: str, base: str, tmp_path: Path
) -> None:
    (tmp_path / "own_kd.py").write_text(HEAD + text)
    (tmp_path / "trial.yaml").write_text(ROUND)
    message = rf"own_kd.temperature: unknown field\n.*own_kd from {base} "
    with pytest.raises(ConfigError, match=message):
        load_round(tmp_path / "trial.yaml")
    (tmp_path / "trial.yaml").write_text(ROUND.replace("temperature: 2.0", "epochs: 2"))
    assert load_round(tmp_path / "trial.yaml").overrides.methods == {"own_kd": {"epochs": 2}}
