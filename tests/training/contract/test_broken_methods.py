"""For every check a method that is broken in one way, and what the check says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stillhouse.plugin import read_plugin
from stillhouse.training.contract.file import METHOD_CHECKS
from stillhouse.training.contract.setup import MethodCase
from stillhouse.training.contract.verdict import run_checks

SOUND = '''
import copy, random, torch
from torch import nn
from stillhouse.methods.base import Card, Method, MethodConfig, Reference

CALLS = []

class Bent(Method):
    """Matched logits."""
    label = "Bent"
    card = Card("match = mean (z_s - z_t)^2", "logits", ())

    class Config(MethodConfig):
        """The weight."""
        weight: float = 1.0

    @classmethod
    def reference(cls, config):
        return Reference(ce=1.0, weights={"match": config.weight})

    def terms(self, student, teacher, batch):
        s, t = student.logits, teacher.logits
        return {"match": (s - t).square().mean()}
'''
TERM = "(s - t).square().mean()"
BODY = "        s, t = student.logits, teacher.logits\n"
INIT = """
    def __init__(self, config, student, teacher):
        super().__init__(config, student, teacher)
"""
BIND = """
    needs = frozenset({"teacher", "teacher_network"})

    def bind_teacher(self, network):
"""
DISTANCES = "(s[:, None] - s[None]).square().sum(dim=2)"
STEPS = [name for name in METHOD_CHECKS if name.startswith("a step trains")]


def put(old: str, new: str) -> str:
    assert SOUND.count(old) == 1
    return SOUND.replace(old, new)


def term(new: str) -> str:
    return put(TERM, new)


BROKEN: list[tuple[str, str, str]] = [
    ("label and taught_by are literals", put('"Bent"', '"Be" + "nt"'), "label is 'Bent', but"),
    (
        "label and taught_by are literals",
        put("    card", "    needs = frozenset()\n    card"),
        "taught_by is 'teacher', but needs is []",
    ),
    (
        "label and taught_by are literals",
        put("    card", '    taught_by = "itself"\n    card'),
        "taught_by is 'itself'",
    ),
    (
        "label and taught_by are literals",
        put("    card", '    needs = frozenset({"teacher", "coffee"})\n    card'),
        "needs holds ['coffee']",
    ),
    ("the card is filled in", put('"logits"', '" "'), "the card's layers is empty"),
    ("the card is filled in", put("    card =", "    # card ="), "it has no card"),
    ("the card is filled in", put(", ())", ', "slow")'), "not a tuple of sentences"),
    (
        "Config has defaults and survives JSON",
        put("weight: float = 1.0", "weight: float"),
        "Field required",
    ),
    (
        "Config has defaults and survives JSON",
        SOUND.replace(
            "class Bent",
            "from pydantic import create_model\n"
            "Base = create_model('Base', __base__=MethodConfig, weight=(float, 1.0))\n\nclass Bent",
        )
        .replace("Config(MethodConfig)", "Config(Base)")
        .replace("        weight: float = 1.0\n", "        pass\n"),
        "Config has the fields ('weight',), but the file's text says ()",
    ),
    (
        "Config has defaults and survives JSON",
        put("weight: float = 1.0", "weight: float = 1.0\n        at: bytes | str = b'x'"),
        "Config is not the same after JSON",
    ),
    (
        "weights name exactly the terms",
        put('{"match": config', '{"batch": config'),
        "the terms are ['ce', 'match'], but the weights in epoch 1 of 1",
    ),
    (
        "weights name exactly the terms",
        SOUND + "    def weights(self, coefficients, epoch, epochs):\n"
        "        return {name: 0.0 for name in coefficients}\n",
        "all weights are 0 in epoch 1",
    ),
    (
        "terms are finite float32 scalars",
        term("(s - t).square().mean(dim=1)"),
        "the term 'match' is float32 of shape (4,), not a float32 scalar",
    ),
    (
        "terms are finite float32 scalars",
        term("(s - t).double().square().mean()"),
        "the term 'match' is float64 of shape ()",
    ),
    (
        "mixed images have no first label",
        put("    card", "    mixed_images = bool(1)\n    card"),
        "mixed_images is True, but the file's text says False",
    ),
    (
        "mixed images have no first label",
        put("    card", "    mixed_images = True\n    card").replace(
            TERM, "(s - t)[range(len(s)), batch.labels].square().mean()"
        ),
        "the term 'match' changes where the two labels of a mixed image change places",
    ),
    ("terms are finite float32 scalars", term("1.0"), "the term 'match' is a float"),
    ("terms are finite float32 scalars", term("(s - s).mean().log()"), "the term 'match' is -inf"),
    (
        "every term reaches the student",
        term("(s.detach() - t).square().mean()"),
        "the term 'match' has no gradient in the student",
    ),
    (
        "the teacher is left as it was",
        SOUND + BIND + "        self.copy = network\n",
        "the teacher's bn.running_mean changed",
    ),
    (
        "the teacher is left as it was",
        put(BODY, BODY + "        CALLS.append(1)\n        self.see[0].train(len(CALLS) == 4)\n")
        + BIND
        + "        self.see = [network]\n",
        "the teacher is no longer in eval mode",
    ),
    (
        "the teacher is left as it was",
        SOUND + BIND + "        self.part = network.bn\n"
        "    def train(self, mode=True):\n        return self\n",
        "the method's part.weight is the teacher's own",
    ),
    (
        "the teacher is left as it was",
        put(BODY, BODY + "        self.see[0].train()(batch.images)\n        self.see[0].eval()\n")
        + BIND
        + "        self.see = [network]\n",
        "the teacher's bn.running_mean changed",
    ),
    (
        "the teacher is left as it was",
        SOUND + BIND + "        network.requires_grad_(True)\n",
        "the teacher's parameters take gradients",
    ),
    *((name, term(DISTANCES + ".sqrt().mean()"), r"gradient") for name in STEPS[:3]),
    *(
        (
            name,
            put(BODY, BODY + "        student.features['layer1'] - teacher.features['layer1']\n"),
            "KeyError: 'layer1'",
        )
        for name in STEPS[3:]
    ),
    (
        "a run trains every layer",
        SOUND + INIT + "        self.unused = nn.Linear(2, 2)\n",
        "the method's unused.weight was never trained",
    ),
    (
        "the same seed draws the same",
        term(TERM + " * random.random()"),
        "the term 'match' differs between two calls with the same seed",
    ),
    (
        "its state survives a file",
        put(BODY, BODY + "        self.count += 1\n").replace(TERM, TERM + " * self.count")
        + INIT
        + "        self.count = 0\n",
        "the term 'match' differs after the state was saved and loaded",
    ),
    (
        "its state survives a file",
        SOUND + "    def get_extra_state(self):\n        return object()\n"
        "    def set_extra_state(self, state):\n        pass\n",
        "state_dict holds _extra_state, a object",
    ),
    *(
        (
            f"finite gradients: {name}",
            term(f"({DISTANCES} + torch.eye(len(s))).sqrt().mean()"),
            "is not finite",
        )
        for name in ("identical embeddings", "duplicate images")
    ),
    (
        "finite gradients: zero features",
        put("student.logits, teacher.logits", "student.features['pooled'], 0").replace(
            TERM, "(s / s.norm(dim=1, keepdim=True)).sum()"
        ),
        "is not finite",
    ),
    (
        "finite gradients: saturated logits",
        term("(t.softmax(1) * (t.softmax(1) / s.softmax(1)).log()).sum(dim=1).mean()"),
        "is not finite",
    ),
    ("finite gradients: a batch of one", term("s.std(dim=0).mean()"), "is not finite"),
    ("finite gradients: a batch of two", term("(s - t).mean() / (len(s) - 2)"), "is not finite"),
    (
        "finite gradients: one class",
        term("(s[batch.labels != batch.labels[0]] - 1).mean()"),
        "is not finite",
    ),
    (
        "a run in a cohort is the run alone",
        put(BODY, BODY + "        CALLS.append(1)\n").replace(TERM, TERM + " * len(CALLS)"),
        "in a cohort and alone: records.1",
    ),
    (
        "a resumed run is the uninterrupted one",
        put(BODY, BODY + "        self.count += 1\n").replace(TERM, TERM + " * self.count")
        + INIT
        + "        self.count = 0\n",
        "uninterrupted and resumed: records.1",
    ),
    ("a resumed run is the uninterrupted one", term("s.undone()"), "has no attribute 'undone'"),
]


def verdict(folder: Path, text: str, check: str) -> str:
    path = folder / "bent.py"
    path.write_text(text)
    case = MethodCase("bent", (read_plugin(path),))
    (found,) = run_checks({check: METHOD_CHECKS[check]}, case)
    return found.reason


def test_every_check_has_a_method_that_it_catches() -> None:
    assert {check for check, _, _ in BROKEN} == {*METHOD_CHECKS}


@pytest.mark.filterwarnings("ignore:std\\(\\)")
@pytest.mark.parametrize(("check", "text", "reason"), BROKEN, ids=[b[0] for b in BROKEN])
def test_caught(check: str, text: str, reason: str, tmp_path: Path) -> None:
    assert re.search(re.escape(reason), verdict(tmp_path, text, check)), reason


@pytest.mark.parametrize("check", METHOD_CHECKS)
def test_the_sound_method_passes(check: str, tmp_path: Path) -> None:
    assert verdict(tmp_path, SOUND, check) == ""
