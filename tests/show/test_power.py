"""`stillhouse plan --power`, and what `plan` says of a round's seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, RKD, Bench
from stillhouse.cli.main import app
from stillhouse.errors import ConfigError
from stillhouse.show.power import Design, designs, plan_notes, power_records, power_table
from stillhouse.stats.frame import frame
from stillhouse.stats.power import smallest_detectable

LOGITS, PURES, RKDS = [84.0, 83.5, 85.5], [80.0, 81.0, 82.0], [79.0, 81.5, 82.0]


@pytest.fixture
def seeded(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, seeds=[0, 1, 2])
    for path, values in ((PURE, PURES), (LOGIT, LOGITS), (RKD, RKDS)):
        for seed, value in enumerate(values):
            bench.finish(f"{path}/{seed}", value)
    return bench


def test_the_spread_is_that_of_the_paired_differences(seeded: Bench) -> None:
    (design,) = designs(seeded.look())
    spreads = [np.std(np.subtract(arm, PURES), ddof=1) for arm in (LOGITS, RKDS)]
    assert design.sd == pytest.approx(np.sqrt(np.mean(np.square(spreads))))
    assert (design.test, design.family) == ("paired", 2)
    assert design.resolution == pytest.approx(100 / 355)
    assert design.sd == frame(seeded.look(), "Digits").sd


def test_the_table_gives_the_references_numbers() -> None:
    table = power_table(Design("planned", 0.3, "welch", 6, "given"), 0.5)
    assert table.columns[3] == "Power for 0.5"
    assert table.rows[0] == (3, "0.68", "0.92", "35 %", "0.52 to 6.28")
    assert table.notes[0] == (
        "0.5 points need 7 seeds per arm for 80 % power at p < 0.05, "
        "11 seeds to hold among 6 methods (0.05 / 6)."
    )


def test_no_planned_interval_is_narrower_than_one_test_image() -> None:
    """An interval of ±0.16, as of 30 seeds, is narrower than one of 250 test images (0.4)."""
    design = Design("planned", 0.3, "welch", 6, "given", resolution=100 / 250)
    assert [row[1] for row in power_table(design, 0.5).rows][-3:] == ["0.22", "n/a", "n/a"]
    halves = [row[4] for row in power_records([design], 0.5).rows]
    assert halves[-2:] == [None, None] and halves[0] == pytest.approx(0.68, abs=0.001)


def test_plan_tells_what_the_seeds_can_show(seeded: Bench, tmp_path: Path) -> None:
    (note,) = plan_notes(seeded.look())
    (design,) = designs(seeded.look())
    assert f"3 seeds find {smallest_detectable(design.sd, 3, 'paired'):.2f} points" in note
    (fresh,) = plan_notes(Bench(tmp_path / "fresh", seeds=[0, 1, 2]).look())
    assert "differences of 3.3 standard deviations" in fresh
    (few,) = plan_notes(Bench(tmp_path / "few").look())
    assert few.startswith("power: 2 seeds per arm: no standard deviation, interval or p-value")


def test_the_command(seeded: Bench, tmp_path: Path) -> None:
    call = CliRunner().invoke
    assert (
        call(app, ["plan", "--power", "--sd", "0.3"]).stdout.splitlines()[-1].startswith("next: ")
    )
    root = str(seeded.workspace.root)
    of_round = call(app, ["plan", "--power", "tiny", "--root", root])
    assert of_round.exit_code == 0 and "of paired differences to pure, so far" in of_round.stdout
    for words in ([], ["tiny", "--sd", "0.3"]):
        wrong = call(app, ["plan", "--power", *words, "--root", root])
        assert isinstance(wrong.exception, ConfigError)
    Bench(tmp_path / "fresh")
    none = call(app, ["plan", "--power", "tiny", "--root", str(tmp_path / "fresh")])
    assert "shows no spread yet" in str(none.exception)
