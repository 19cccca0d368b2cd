"""Tables of representations and figures in a report, from what `analyze` wrote."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image as Pictures

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.show.figures.drawn import Drawn, write
from stillhouse.show.figures.style import COLOURS
from stillhouse.show.report.analysis import analysis_sections, representations, shrunk
from stillhouse.show.report.build import read_material
from stillhouse.show.report.content import document
from stillhouse.show.report.document import Document, Image, Paragraph, Section
from stillhouse.show.report.markdown import fill, markdown
from stillhouse.stats.columns import MEASURES, PAIRS, RUNS, TRANSFER, frame
from stillhouse.tables import Table


@pytest.fixture
def home(bench: Bench) -> Path:
    bench.finish_all(90.0 for _ in bench.runs)
    home = bench.workspace.root / "analysis" / "experiment_tiny"
    (home / "tables").mkdir(parents=True)
    return home


def sections(bench: Bench) -> dict[str, Section]:
    return {one.key: one for one in analysis_sections(bench.workspace, bench.look())}


def measured(run: str, value: float, layer: str = "layer3") -> dict[str, object]:
    return {
        "dataset": "Digits", "run": run, "layer": layer, "measure": "linear_probe", "value": value,
    }  # fmt: skip


def write_measures(home: Path, *rows: dict[str, object]) -> None:
    frame(rows, MEASURES).to_csv(home / "tables" / "measures.csv", index=False)
    frame([], PAIRS).to_csv(home / "tables" / "pairs.csv", index=False)
    frame([], TRANSFER).to_csv(home / "tables" / "transfer.csv", index=False)


def draw(home: Path, name: str = "fidelity") -> None:
    figure = Figure(figsize=(6.9, 3))
    figure.add_subplot().set_title("Digits: RKD agrees most", loc="left")
    found = Drawn(figure, pd.DataFrame({"x": [1]}), "What is shown.\n\nHow to read it: so.")
    write(found, home / "figures", f"tiny-Digits-{name}", ["png"])


def test_without_tables_and_pictures_there_is_no_section(bench: Bench, home: Path) -> None:
    assert sections(bench) == {}


def test_means_are_over_seeds_of_valid_runs_at_the_last_group(bench: Bench, home: Path) -> None:
    values = [measured(f"{RKD}/0", 80.0), measured(f"{RKD}/1", 90.0)]
    others = [measured(f"{RKD}/0", 1.0, "layer1"), measured(f"{PURE}/0", 70.0)]
    write_measures(home, *values, *others)
    table = sections(bench)["representations Digits"].blocks[0]
    rows = {row[0]: row[1:] for row in table.rows}  # type: ignore[union-attr]
    assert rows["RKD"] == ("85.00",)
    assert rows["Student pure (ResNetBaby)"] == ("70.00",)


def test_a_measure_against_another_seeds_teacher_does_not_count() -> None:
    runs = frame([{"run": "a", "dataset": "Digits", "arm": "RKD", "valid": True}], RUNS)
    rows = [
        measured("a", 90.0) | {"measure": "agreement", "layer": "logits", "kind": kind}
        for kind in ("own_teacher", "other_teacher")
    ]
    rows[1]["value"] = 10.0
    table = representations(runs, frame(rows, MEASURES), frame([], PAIRS), "Digits", "Digits")
    assert table.rows == (("RKD", "90.00"),)


def test_the_pure_student_stands_beside_as_the_control(bench: Bench, home: Path) -> None:
    arms = (("a", "RKD"), ("b", "Student pure"))
    runs = frame([{"run": r, "dataset": "Digits", "arm": a, "valid": True} for r, a in arms], RUNS)
    pairs = [
        {"dataset": "Digits", "run_a": run, "layer_a": "layer3", "run_b": "t", "layer_b": "layer3",
         "measure": "linear_cka", "value": value, "kind": kind}
        for run, value, kind in (("a", 0.9, "own_teacher"), ("b", 0.7, "pure_teacher"))
    ]  # fmt: skip
    table = representations(runs, frame([], MEASURES), frame(pairs, PAIRS), "Digits", "Digits")
    assert table.rows == (("RKD", "0.900"), ("Student pure", "0.700"))


def test_a_dataset_without_measures_has_no_table(tmp_path: Path) -> None:
    bench = Bench(tmp_path, datasets=["Digits", "Cifar10"])
    bench.finish(f"{PURE}/0", 80.0)
    home = bench.workspace.root / "analysis" / "experiment_tiny"
    (home / "tables").mkdir(parents=True)
    write_measures(home, measured(f"{PURE}/0", 70.0))
    found = sections(bench)
    (table,), (text,) = (found[f"representations {name}"].blocks for name in ("Digits", "Cifar10"))
    assert isinstance(table, Table) and isinstance(text, Paragraph)


def test_pairs_of_different_layers_and_invalid_runs_do_not_count() -> None:
    names = (("a", True), ("b", False))
    runs = frame(
        [{"run": run, "dataset": "Digits", "arm": "RKD", "valid": valid} for run, valid in names],
        RUNS,
    )
    pairs = [
        {
            "dataset": "Digits", "run_a": run, "layer_a": "layer3", "run_b": "t", "layer_b": layer,
            "measure": "linear_cka", "value": value, "kind": "own_teacher",
        }
        for run, layer, value in (("a", "layer3", 0.5), ("a", "layer1", 0.1), ("b", "layer3", 0.9))
    ]  # fmt: skip
    table = representations(runs, frame([], MEASURES), frame(pairs, PAIRS), "Digits", "Digits")
    assert table.rows == (("RKD", "0.500"),)


def test_runs_that_came_later_are_named(bench: Bench, home: Path) -> None:
    write_measures(home, *(measured(run, 80.0) for run in bench.runs))
    assert sections(bench)["representations"].blocks == ()
    write_measures(home, *(measured(run, 80.0) for run in bench.runs if run != f"{LOGIT}/1"))
    (note,) = sections(bench)["representations"].blocks
    assert f"{LOGIT}/1" in note.text  # type: ignore[union-attr]


def test_a_figure_says_what_it_shows(bench: Bench, home: Path) -> None:
    draw(home)
    (image,) = sections(bench)["figures Digits"].blocks
    assert isinstance(image, Image)
    assert image.alternative == "Digits: RKD agrees most. What is shown."
    assert image.caption[1] == "How to read it: so."
    with Pictures.open(io.BytesIO(image.png)) as picture:
        ratio = picture.height / picture.width
    assert image.width == 736
    assert image.height == pytest.approx(image.width * ratio, abs=1)


def test_figures_fit_into_the_page(tmp_path: Path) -> None:
    """Noise does not compress: the pictures become narrower until all fit."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 2070, 3), np.uint8)
    Pictures.fromarray(noise).save(tmp_path / "a.png")
    files = [tmp_path / "a.png"] * 2
    wide, small = shrunk(files, 10**8), shrunk(files, 400_000)
    assert [Pictures.open(io.BytesIO(one)).width for one in (*wide, *small)] == [1400] * 2 + [
        700
    ] * 2
    assert sum(map(len, small)) <= 400_000


def test_few_colours_are_still_those_of_the_methods(tmp_path: Path) -> None:
    """Small marks of each colour, above areas of its tints that fill most of the picture."""
    colours = [np.array([*bytes.fromhex(colour[1:])]) for colour in COLOURS]
    picture = np.full((900, 1400, 3), 255, np.uint8)
    tints = np.linspace(0, 0.4, 700)[:, None, None]
    for place, colour in enumerate(colours):
        left = 200 * place
        picture[200:, left : left + 180] = (255 + tints * (colour - 255)).astype(np.uint8)
        picture[40:48, left : left + 8] = colour
    Pictures.fromarray(picture).save(tmp_path / "a.png")
    (content,) = shrunk([tmp_path / "a.png"])
    with Pictures.open(io.BytesIO(content)) as opened:
        small = np.asarray(opened.convert("RGB")).astype(int)
    for place, colour in enumerate(colours):
        assert np.abs(small[44, 200 * place + 4] - colour).max() <= 8


def report(bench: Bench) -> Document:
    return document(read_material(bench.workspace, bench.round, bench.file))


def test_markdown_points_to_the_files_from_where_it_lies(bench: Bench, home: Path) -> None:
    draw(home)
    found = report(bench)
    assert "](figures/tiny-Digits-fidelity.png)" in markdown(found)
    text = "<!-- stillhouse figures Digits -->\n<!-- /stillhouse -->\n"
    filled = fill(text, found, "mine.md", "analysis/experiment_tiny")
    assert "](analysis/experiment_tiny/figures/tiny-Digits-fidelity.png)" in filled


def test_the_code_of_the_runs_is_told(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    code = {"version": "9.8.7", "source": "f" * 64, "commit": None, "difference": None}
    edit(bench.folder(f"{TEACHER}/0").run, lambda record: record.update(code=code))
    (table,) = next(s for s in report(bench).sections if s.key == "provenance").blocks
    assert ("Code", f"stillhouse 9.8.7, source SHA-256 {'f' * 12}", 1) in table.rows  # type: ignore[union-attr]
