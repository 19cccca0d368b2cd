"""Every example of docs/python.md runs, in its order, on a trained round of the same names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fake_rounds import Bench
from represented import extracted, train
from stillhouse.show.analyze import analyze_table

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.+?)^```", PAGE.read_text(), re.M | re.S)


def test_there_are_ten_short_examples() -> None:
    assert len(EXAMPLES) == 10
    assert max(example.count("\n") for example in EXAMPLES) <= 5


@pytest.mark.slow
def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = {"epochs": 5, "batch_size": 64, "learning_rate": 0.05, "train_images": 800}
    bench = Bench(tmp_path / "demo", round="digits", training=recipe)
    train(bench)
    bench.workspace.activate(bench.round, bench.file)
    extracted(bench)
    analyze_table(bench.workspace, bench.look(), 1, lambda text: None)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)
    assert len(names["digits"].runs) == len(bench.runs)
    assert set(names["differences"]) == {"pure", "logit", "rkd"}
    assert (names["differences"]["pure"] == 0).all()
    assert set(names["probes"].layer) == {"layer1", "layer2", "layer3"}
    assert set(names["own"].run_b) == {f"Digits/pure/ResNet20/{seed}" for seed in (0, 1)}
    assert names["classes"].tolist() == names["outputs"].logits.argmax(dim=1).tolist()
    assert names["shapes"]["layer3"] == (5, 64, 2, 2)
    assert names["different"].shape == (5,)
