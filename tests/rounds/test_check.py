"""What is refused before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, TEACHER, Bench, write_round
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError, DataError, RunError
from stillhouse.rounds.check import check_round

ALPHA = Path(__file__).parents[2] / "rounds" / "alpha.yaml"


def check(bench: Bench, file: Path | None = None, only: str | None = None) -> None:
    file = file or bench.file
    root = bench.workspace.root
    check_round(bench.workspace, load_round(file), file, only, root / "data")


def test_a_sound_round_passes(bench: Bench) -> None:
    check(bench)
    bench.begin(f"{TEACHER}/0")
    bench.begin(f"{LOGIT}/0")
    check(bench)


def test_a_round_with_legacy_notes_is_refused_with_them(bench: Bench) -> None:
    with pytest.raises(RunError, match="round 'alpha' is a record") as caught:
        check(bench, ALPHA)
    for name, note in load_round(ALPHA).legacy.items():
        assert f"{name}: {note}" in caught.value.message
    assert not bench.workspace.experiments.exists()


def test_a_missing_dataset_is_found_first(bench: Bench) -> None:
    file = write_round(bench.file, datasets=["Digits", "SVHN"])
    with pytest.raises(DataError, match="SVHN") as caught:
        check(bench, file)
    assert "stillhouse data fetch SVHN" in caught.value.hint
    check(bench, file, only="dataset=Digits")


def test_a_dataset_that_is_no_longer_needed_is_not_missed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, datasets=["SVHN"], methods=["pure"], seeds=[0])
    with pytest.raises(DataError, match="SVHN"):
        check(bench)
    bench.finish_all([50.0, 60.0])
    check(bench)


def test_a_changed_configuration_shows_the_difference(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "stopped")
    bench.finish(f"{TEACHER}/0", 90.0)
    changed = write_round(bench.file, training={"epochs": 3, "batch_size": 64})
    with pytest.raises(RunError, match="started with another configuration") as caught:
        check(bench, changed)
    assert f"{PURE}/0: training.epochs: 2 -> 3" in caught.value.message
    assert "and 1 more" in caught.value.message


def test_a_changed_parameter_of_a_method_shows(bench: Bench) -> None:
    bench.end(f"{LOGIT}/0", "stopped")
    file = write_round(bench.file, overrides={"methods": {"logit": {"temperature": 8.0}}})
    with pytest.raises(RunError, match=r"parameters\.temperature: 4 -> 8"):
        check(bench, file)
    write_round(bench.file, overrides={"methods": {"logit": {"temperature": 4.0}}})
    check(bench)


def test_what_cannot_change_a_number_may_change(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "stopped")
    check(bench, write_round(bench.file, motivation="another", seeds=[0, 1, 2]))


def test_a_second_round_is_refused_as_such(bench: Bench) -> None:
    """Not as a changed configuration, though both rounds have runs of the same name."""
    bench.end(f"{PURE}/0", "stopped")
    bench.workspace.activate(bench.round, bench.file)
    other = write_round(bench.file.with_name("other.yaml"), round="other", training={"epochs": 9})
    with pytest.raises(RunError, match="round 'tiny' is active"):
        check(bench, other)


FLAT = """
from torch import nn
from stillhouse.models.base import Network, Outputs

class Net(Network):
    groups = ("map",)

    def __init__(self, classes, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, stride=4, padding=1)
        self.head = nn.Linear(16, classes)

    def forward(self, images):
        x = self.conv(images)
        pooled = x.flatten(1)
        return Outputs(self.head(pooled), {"map": x, "pooled": pooled})

def build(classes, channels):
    return Net(classes, channels)
"""


def test_a_method_that_cannot_serve_a_pair_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    """With its reason, the pair, and nothing on the disk."""
    (tmp_path / "rounds").mkdir()
    (tmp_path / "rounds" / "flattened.py").write_text(FLAT)
    fields = {
        "datasets": ["Digits"],
        "teacher": "flattened",
        "methods": ["logit", "simkd"],
        "seeds": [0],
    }
    bench = Bench(tmp_path, files=["flattened.py"], **fields)
    with pytest.raises(ConfigError) as caught:
        check(bench)
    message = str(caught.value)
    assert "1 of the round's methods cannot be trained" in message
    assert (
        "Digits, simkd, flattened to ResNetBaby: simkd uses the teacher's head on a map" in message
    )
    assert not (bench.workspace.experiments / "Digits").exists()
    fine = write_round(
        bench.file, files=["flattened.py"], **(fields | {"methods": ["logit", "srrl"]})
    )
    check(bench, fine)


def test_a_total_that_a_method_does_not_have_is_refused_before_training(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        datasets=["Digits"],
        methods=["simkd"],
        seeds=[0],
        distillation={"total": "convex"},
    )
    with pytest.raises(ConfigError, match=r"simkd, .*the published total has no cross entropy"):
        check(bench)
