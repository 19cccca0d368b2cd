"""From a round's files to what the policy orders by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fake_rounds import LOGIT, PURE, TEACHER, Bench
from fake_scheduler import make_site
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.policy import Terms, decide
from stillhouse.cluster.view import epoch_costs
from stillhouse.config.expand import expand
from stillhouse.rounds.cost import forward_operations
from stillhouse.runs.state import RunState


def test_an_epoch_costs_what_its_networks_compute(tmp_path: Path) -> None:
    """Digits: 200 training images here, 355 test images; a student runs its teacher forward."""
    bench = Bench(tmp_path)
    cost = epoch_costs(bench.look(), {"Digits": {"ResNet20": 5, "ResNetBaby": 2}})
    assert cost[f"{TEACHER}/0"] == 5 * (3 * 200 + 355)
    assert cost[f"{PURE}/0"] == 2 * (3 * 200 + 355)
    assert cost[f"{LOGIT}/0"] == cost[f"{PURE}/0"] + 5 * 200


def test_the_deeper_of_two_networks_goes_first(tmp_path: Path) -> None:
    students = ["ResNetBaby", "ResNet20", "ResNet56"]
    bench = Bench(tmp_path, students=students, methods=["pure"], seeds=[0], teacher="ResNetBaby")
    seen = bench.look()
    costs = epoch_costs(seen, forward_operations(expand(bench.round)))
    proven = [replace(cell, state=RunState("stopped", epoch=1, attempts=1)) for cell in seen.cells]
    found = decide(proven, costs, list(costs), [], 0, Ledger(), Terms(make_site(cap=9)))
    order = [path.split("/")[2] for request in found.requests for path in request.paths]
    assert order == ["ResNet56", "ResNet20", "ResNetBaby"]
