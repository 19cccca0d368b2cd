"""What a method is given at its start, and what the loop takes from it beside its terms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from small_runs import Lab
from stillhouse import data
from stillhouse.data.split import stratified
from stillhouse.plugin import Plugin, read_plugin
from stillhouse.training.recorder import load_weights
from stillhouse.training.reopen import SPLIT_SEED

BANK = '''
import torch
from torch import nn
from stillhouse.methods.base import Card, Method, ParameterGroup, Reference

class Bank(Method):
    """Draw each embedding to the mean of the last ones of its class (a memory bank)."""
    label = "Bank"
    needs = frozenset({"teacher", "training_images"})
    card = Card("near = mean (f(e_i) - mean_j f(e_j))^2, j of the same class", "pooled", ())

    def __init__(self, config, student, teacher):
        super().__init__(config, student, teacher)
        self.embed = nn.Linear(student.features["pooled"][0], 4)
        self.slow = nn.Parameter(torch.ones(4))

    @classmethod
    def reference(cls, config):
        return Reference(ce=1.0, weights={"near": 0.1})

    def bind_training_images(self, images):
        self.register_buffer("ids", images.ids)
        self.register_buffer("labels", images.labels)
        self.register_buffer("bank", torch.randn(images.rows, 4))

    def parameter_groups(self):
        return [ParameterGroup([self.slow], learning_rate=0.0)]

    def terms(self, student, teacher, batch):
        e = self.embed(student.features["pooled"]) * self.slow
        same = (self.labels[None] == batch.labels[:, None]).float()
        means = same @ self.bank[self.ids] / same.sum(dim=1, keepdim=True)
        self.bank[batch.ids] = e.detach()
        return {"near": (e - means).square().mean()}
'''


@pytest.fixture
def bank(tmp_path: Path) -> Plugin:
    path = tmp_path / "bank.py"
    path.write_text(BANK)
    return read_plugin(path)


def test_a_method_learns_ids_and_labels_of_what_is_trained_on(lab: Lab, bank: Plugin) -> None:
    run = lab.run("bank", files=(bank,), train_images=100, validation=50)
    (member,) = lab.open(run).members
    method = member.trainer.method
    whole = data.load("Digits", lab.data_root).train
    expected = stratified(stratified(whole, 50, SPLIT_SEED)[0], 100, SPLIT_SEED)[1]
    assert torch.equal(method.get_buffer("ids"), expected.ids)
    assert torch.equal(method.get_buffer("labels"), whole.labels[expected.ids])
    assert len(method.get_buffer("bank")) == len(whole)
    assert int(expected.ids.max()) >= 100


def test_a_module_under_two_names_is_refused_before_training(lab: Lab, bank: Plugin) -> None:
    """The weights could not be saved at the end."""
    bank.path.write_text(BANK.replace("self.slow =", "self.again = self.embed; self.slow ="))
    complaints: list[str] = []
    lab.open(lab.run("bank", files=(read_plugin(bank.path),)), complaints=complaints)
    (complaint,) = complaints
    assert "method Bank: embed.weight and again.weight" in complaint


def test_its_memory_travels_in_the_checkpoint(make_lab: Callable[[str], Lab], bank: Plugin) -> None:
    labs = [make_lab("whole"), make_lab("stopped")]
    run = labs[0].run("bank", files=(bank,))
    labs[0].train(run)
    labs[1].train(run, steps=4)
    labs[1].train(run)
    assert labs[0].outcome(run) == labs[1].outcome(run)


def test_its_parameters_learn_at_their_own_rate(
    make_lab: Callable[[str], Lab], bank: Plugin
) -> None:
    lab = make_lab("trained")
    run = lab.run("bank", files=(bank,))
    (member,) = make_lab("untrained").open(run).members
    before = {name: p.clone() for name, p in member.trainer.method.named_parameters()}
    lab.train(run)
    result = lab.folder(run).completed()
    assert result is not None
    after = load_weights(lab.folder(run).method, result["weights"]["method"])
    kept = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert (kept, {*before}) == ({"slow"}, {"slow", "embed.weight", "embed.bias"})
