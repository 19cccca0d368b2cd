"""From a round's files to what the policy orders by."""

from __future__ import annotations

from pathlib import Path

from queues import make_site
from stillhouse.cluster.jobs import Standing
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.policy import Terms, decide
from stillhouse.cluster.view import outline
from stillhouse.config.expand import expand
from stillhouse.rounds.cost import forward_operations
from workbench import LOGIT, PURE, TEACHER, Bench


def test_an_epoch_costs_what_its_networks_compute(tmp_path: Path) -> None:
    """Digits: 200 training images here, 355 test images; a student runs its teacher forward."""
    bench = Bench(tmp_path)
    runs = outline(bench.look(), {"Digits": {"ResNet20": 5, "ResNetBaby": 2}})
    cost = {run.path: run.cost for run in runs}
    assert cost[f"{TEACHER}/0"] == 5 * (3 * 200 + 355)
    assert cost[f"{PURE}/0"] == 2 * (3 * 200 + 355)
    assert cost[f"{LOGIT}/0"] == cost[f"{PURE}/0"] + 5 * 200


def test_the_deeper_of_two_networks_goes_first(tmp_path: Path) -> None:
    students = ["ResNetBaby", "ResNet20", "ResNet56"]
    bench = Bench(tmp_path, students=students, methods=["pure"], seeds=[0], teacher="ResNetBaby")
    runs = outline(bench.look(), forward_operations(expand(bench.round)))
    proven = {run.path: Standing("stopped", 1, attempts=1) for run in runs}
    found = decide(
        runs, proven, [run.path for run in runs], [], 0, Ledger(), Terms(make_site(cap=9))
    )
    order = [path.split("/")[2] for request in found.requests for path in request.paths]
    assert order == ["ResNet56", "ResNet20", "ResNetBaby"]
