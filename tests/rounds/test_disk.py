"""The disk space of a round: predicted, measured, and what `keep` leaves out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_rounds import Bench, write_round
from represented import train
from small_runs import Lab
from stillhouse.cli.main import app
from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import Keep
from stillhouse.errors import ConfigError
from stillhouse.rounds.disk import predicted
from stillhouse.runs.disk import CHECKPOINTS, PARTS, RECORDS, REPRESENTATIONS, WEIGHTS, held
from stillhouse.show.disk import disk_note, shown

RECIPE = {"epochs": 1, "batch_size": 64, "learning_rate": 0.02, "train_images": 200}
ROUND: dict[str, Any] = {
    "methods": ["pure", "factor_transfer"],
    "seeds": [0],
    "training": RECIPE,
}
LITTLE = {"students": "final", "best": False}


@pytest.fixture(scope="module", params=[{}, LITTLE], ids=["all", "little"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A trained round that keeps all, and one, trained by `run`, that keeps final weights alone."""
    bench = Bench(tmp_path_factory.mktemp("disk"), **ROUND, keep=request.param)
    if not request.param:
        train(bench)
        return bench
    words = ["run", str(bench.file), "--root", str(bench.workspace.root), "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--jobs", "1"])
    assert done.exit_code == 0, done.output
    return bench


@pytest.mark.slow
def test_the_prediction_is_within_a_tenth_of_du(kept: Bench) -> None:
    sizes = predicted(kept.runs.values(), kept.round.keep)
    total = sum(one[kind] for one in sizes.values() for kind in (WEIGHTS, RECORDS, PARTS))
    home = kept.workspace.experiments
    told = subprocess.run(
        ["du", "-s", "--block-size=1", str(home)], capture_output=True, text=True, check=True
    )
    on_disk = int(told.stdout.split()[0])
    assert total == pytest.approx(on_disk, rel=0.1)
    assert sum(one.bytes for one in held(kept.workspace.root).values()) == on_disk


@pytest.mark.slow
def test_what_is_not_kept_is_not_written(kept: Bench) -> None:
    little = kept.round.keep != Keep()
    for cell in kept.look().cells:
        files = {path.stem for path in cell.folder.path.glob("*.safetensors")} - {"predictions"}
        result = cell.folder.completed()
        assert result is not None
        assert set(result["weights"]) == files
        if little:
            own = cell.config.method == "pure" and {"method"} & files
            assert files == {"final"} | (own or set())
        else:
            assert {"final", "best"} <= files


def test_a_run_that_teaches_with_its_best_weights_keeps_them() -> None:
    keep = Keep(students="final", best=False)
    assert keep.drops("pure", validated=True) == frozenset()
    assert keep.drops("pure", validated=False) == {"best"}
    assert keep.drops("logit", validated=True) == {"best", "ema", "method"}
    assert Keep(best=False).drops("logit", validated=True) == {"best"}
    assert Keep().drops("logit", validated=False) == frozenset()


def test_keep_is_no_part_of_the_identity_and_its_mistakes_are_named(tmp_path: Path) -> None:
    plain, little = (
        load_round(write_round(tmp_path / f"{name}.yaml", **more))
        for name, more in (("a", {}), ("b", {"keep": LITTLE}))
    )
    assert [*map(identity, expand(plain))] == [*map(identity, expand(little))]
    with pytest.raises(ConfigError, match=r"keep\.students"):
        load_round(write_round(tmp_path / "c.yaml", keep={"students": "some"}))


def test_averages_and_adam_need_more(bench: Bench) -> None:
    (run, *_) = bench.runs.values()
    more = run.training.model_copy(update={"ema_decay": 0.9, "optimizer": "adamw"})
    plain, large = (
        predicted([one])[run.path] for one in (run, run.model_copy(update={"training": more}))
    )
    assert large[WEIGHTS] == pytest.approx(1.5 * plain[WEIGHTS], rel=0.05)
    assert large[CHECKPOINTS] > plain[CHECKPOINTS]


def test_representations_are_of_the_whole_training_set(bench: Bench) -> None:
    """`train_images` limits what is trained on, not what `extract` looks at."""
    (run, *_) = bench.runs.values()
    whole = run.model_copy(
        update={"training": run.training.model_copy(update={"train_images": None})}
    )
    few, all_ = (predicted([one])[one.path][REPRESENTATIONS] for one in (run, whole))
    assert few == all_


@pytest.mark.parametrize("more", [{}, {"optimizer": "adamw", "ema_decay": 0.9}])
def test_checkpoints_are_as_large_as_predicted(lab: Lab, more: dict[str, Any]) -> None:
    """The new one and the previous one are kept."""
    run = lab.run("fitnets", epochs=3, learning_rate=0.01, **more)
    assert lab.train(run, steps=5) == "enough"
    attempt = lab.folder(run).path / "attempts" / "001"
    written = sum(file.stat().st_size for file in attempt.glob("checkpoint*.pt"))
    assert predicted([run])[run.path][CHECKPOINTS] == pytest.approx(written, rel=0.1)


class TestNote:
    SIZES = {  # noqa: RUF012
        name: {WEIGHTS: 700, RECORDS: 100, PARTS: 0, CHECKPOINTS: 400, REPRESENTATIONS: 50}
        for name in "abc"
    }

    def test_it_warns_above_80_percent_of_what_is_free(self) -> None:
        # two runs to write, 800 each, and 2 x 400 of checkpoints while they train together
        assert "warning" in disk_note(self.SIZES, [["a", "b"]], room=2_999)
        assert "warning" not in disk_note(self.SIZES, [["a", "b"]], room=3_001)

    def test_groups_train_one_after_another(self) -> None:
        note = disk_note(self.SIZES, [["a"], ["b"]], room=10_000)
        assert "2.4 kB" in note and "1.6 kB" in note and "400 bytes" in note

    def test_a_trained_round_needs_nothing(self) -> None:
        assert "warning" not in disk_note(self.SIZES, [], room=1)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.23 kB"), (999_600, "1 MB")]
)
def test_sizes_have_three_digits(size: int, text: str) -> None:
    assert shown(size) == text
