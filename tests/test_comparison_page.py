"""docs/comparison/ and the page that `make comparison` writes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import comparison
from fake_rounds import Bench
from stillhouse.config.load import load_round
from stillhouse.show.figures.drawn import Drawn, write

LOSSES = """\
**round tiny: is each method's own loss lower for its student?**

| Dataset | Method | Seed | Ratio | Own is lower |
|---|---|---:|---|---|
| Digits | rkd | 0 | 0.500 | yes |
| Digits | rkd | 1 | 1.250 | no |
| Digits | nst | 0 | 0.125 | yes |
| Digits | nst | 1 | — | — |
| Digits | self | 0 | — | n/a: its pure student is its teacher |

What it is.
"""


@pytest.mark.skipif(not comparison.PAGE.is_file(), reason="all_methods is not trained yet")
def test_the_page_is_written_from_the_files_beside_it() -> None:
    assert comparison.page(comparison.HOME) == comparison.PAGE.read_text(), "`make comparison`"


def test_a_round_is_collected_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path / "bench")
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all([90.0, 91.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0])
    figure = Figure(figsize=(6.9, 3))
    figure.add_subplot().set_title("RKD is first", loc="left")
    drawn = Drawn(figure, pd.DataFrame({"x": [1]}), "What is shown.\n\nHow to read it: so.")
    home = bench.workspace.root / "analysis" / "experiment_tiny" / "figures"
    write(drawn, home, "tiny-Digits-forest")
    monkeypatch.setattr(comparison, "tried", lambda round_, file: {"rkd": [0.012, 0.85]})
    monkeypatch.setattr(comparison, "view", shown)
    comparison.collect(bench.workspace.root, tmp_path / "out")
    assert "## Beside published results" not in comparison.page(tmp_path / "out")
    comparison.collect_reduced(bench.workspace.root, tmp_path / "out")
    text = comparison.page(tmp_path / "out")
    assert "complete: 8 of 8 runs" in text
    assert "| RKD | helps |" in text and "--notes" not in text
    assert "### Digits: cost" in text
    assert "| `rkd` | 0.012 | 0.85 |" in text
    assert "| Digits | `rkd` | [0.500, 1.250] | 1 of 2 seeds |" in text
    assert "| Digits | `nst` | [0.125, 0.125] | 1 of 1 seeds |" in text
    assert "| Digits | `self` | — | n/a: its pure student is its teacher |" in text
    assert "](comparison/tiny-Digits-forest.png)" in text
    assert "### Digits: crd_benchmark" in text.split("## Beside published results")[1]
    assert "`rounds/tiny.yaml` trains a pair of the CRD benchmark" in text
    assert (tmp_path / "out" / "tiny-Digits-forest.png").is_file()
    assert json.loads((tmp_path / "out" / "facts.json").read_text())["round"] == "tiny"


def shown(words: tuple[str, ...], folder: Path) -> str:
    """What a command shows."""
    if words[0] == "verify":
        return LOSSES
    return (
        f"**round tiny, Digits: {words[-1]}**\n\n"
        "| Method | Verdict |\n|---|---|\n| RKD | helps |\n\n--notes explains every column.\n"
    )


def test_a_method_is_tried_alone(tmp_path: Path) -> None:
    """Also one whose teacher is a network of the student's kind."""
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "round: tiny\ndatasets: [Digits]\nteacher: ResNetBaby\nstudents: [ResNetBaby]\n"
        "methods: [self]\nseeds: [0]\ntraining: {epochs: 1}\ndistillation: {total: reference}\n"
    )
    ((name, (seconds, memory)),) = comparison.tried(load_round(file), file).items()
    assert name == "self" and 0 < seconds < 60 and 0.1 < memory < 16
