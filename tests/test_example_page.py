"""docs/example/ and the pages that `make example` writes from it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

import example
from fake_rounds import Bench
from stillhouse.exchange.archive import Archive, move_in, write_material
from stillhouse.show.figures.drawn import Drawn, write

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLE = DOCS / "example"
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
MOST_BYTES = 8_000_000


def test_the_pages_are_written_from_the_files_beside_them() -> None:
    found = example.pages(EXAMPLE)
    assert set(found) == {"example.md", "beta-small.md"}
    for name, text in found.items():
        assert (DOCS / name).read_text() == text, f"{name}: `make example`"
    readme = (ROOT / "README.md").read_text()
    assert example.readme(readme, EXAMPLE) == readme


def test_every_number_is_one_of_the_rounds() -> None:
    known = set()
    for file in EXAMPLE.rglob("*"):
        if file.suffix in (".md", ".csv", ".json"):
            known |= set(NUMBER.findall(f"{file.relative_to(DOCS)} {file.read_text()}"))
    for name, text in example.pages(EXAMPLE).items():
        assert set(NUMBER.findall(text)) <= known, name


def test_the_example_is_small_and_names_no_machine() -> None:
    assert [*example.machine_paths(EXAMPLE)] == []
    files = [file for file in EXAMPLE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    pictures = [file for file in files if file.suffix == ".png"]
    assert pictures
    for file in pictures:
        with Image.open(file) as opened:
            assert opened.mode == "P", file


def test_a_round_is_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path / "bench")
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all([90.0, 91.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0])
    shown = (
        "**round tiny, Digits: test accuracy (%)**\n\n| Method | Verdict |\n|---|---|\n| a | b |\n"
    )
    monkeypatch.setattr(example, "view", lambda words, folder: shown)
    with pytest.raises(SystemExit, match="extract, analyze"):
        example.collect(bench.workspace.root, tmp_path / "out")
    figure = Figure(figsize=(6.9, 3))
    figure.add_subplot().set_title("RKD is first", loc="left")
    home = bench.workspace.root / "analysis" / "experiment_tiny" / "figures"
    drawn = Drawn(figure, pd.DataFrame({"x": [1]}), "What is shown.\n\nHow to read it: so.")
    write(drawn, home, "tiny-Digits-forest")
    example.collect(bench.workspace.root, tmp_path / "out")
    kinds = {file.suffix for file in (tmp_path / "out" / "tiny" / "figures").iterdir()}
    assert kinds == {".png", ".svg", ".csv", ".md"}
    text = example.pages(tmp_path / "out")["example.md"]
    assert "complete: 8 of 8 runs" in text and "| Method | Verdict |" in text
    assert "](example/tiny/figures/tiny-Digits-forest.png)" in text
    readme = example.readme("a\n<!-- example -->\nold\n<!-- /example -->\nb\n", tmp_path / "out")
    assert "tiny-Digits-forest.png" in readme and "old" not in readme
    assert readme.startswith("a\n") and readme.endswith("b\n")
    archive = Archive(bench.workspace, "tiny")
    write_material(archive, bench.file, ())
    move_in(archive)
    for place in (archive.path, bench.workspace.root):  # the archive, and the workspace it is in
        example.collect(place, tmp_path / "out")
        assert "archived: 8 of 8" in (tmp_path / "out" / "tiny" / "facts.json").read_text()
    (tmp_path / "out" / "tiny" / "seen.md").write_text(f"in {tmp_path}")
    (tmp_path / "out" / "tiny" / "own.md").write_text("in D:/rounds/tiny")
    assert [*example.machine_paths(tmp_path / "out")] == ["tiny/seen.md"]
    found = example.machine_paths(tmp_path / "out", "D:/rounds")
    assert [*found] == ["tiny/own.md", "tiny/seen.md"]
