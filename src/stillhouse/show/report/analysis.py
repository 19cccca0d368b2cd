"""What `analyze` has written, in a report: what was transferred, and the figures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image as Pictures

from stillhouse import data
from stillhouse.exchange.archive import archive_of
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.analyze import EXCESS, transfer_table
from stillhouse.show.figures import FIGURES
from stillhouse.show.figures.style import DOUBLE
from stillhouse.show.report.document import Block, Image, Paragraph, Section
from stillhouse.stats.columns import records
from stillhouse.stats.runs import runs_frame
from stillhouse.stats.summary import summarise
from stillhouse.stats.written import read_table
from stillhouse.tables import Table

MOST_BYTES = 1_800_000  # of all figures of a page; as text they take a third more
WIDTHS = (1400, 1000, 700)  # pixels; the first at which all figures fit is taken
COLOURS = 128
PAGE_WIDTH = 736  # of a figure over two columns, in pixels of the page
PER_INCH, DPI = PAGE_WIDTH / DOUBLE, 300
UNMEASURED = Paragraph("No run of this dataset is extracted and analyzed yet.")
TAUGHT = ("own_teacher", "pure_teacher")  # kinds of comparison with the teacher of a run's seed
# Measure, layer (empty: the last group), heading, decimals.
SHOWN = (
    ("linear_cka", "", "CKA to the teacher", 3),
    ("agreement", "logits", "Agreement %", 2),
    ("linear_probe", "", "Linear probe %", 2),
    ("knn_probe", "", "kNN probe %", 2),
    ("participation_ratio", "", "Participation ratio", 2),
    ("nc1", "", "NC1", 3),
    ("ece", "logits", "ECE %", 2),
)


def analysis_sections(workspace: Workspace, survey: Survey) -> Iterable[Section]:
    """The tables of representations and the figures, as far as they have been written."""
    home = archive_of(workspace, survey.round.round).path
    tables = home / "tables"
    transfer = records(read_table(tables, "transfer", survey.round.round))
    measures = read_table(tables, "measures", survey.round.round)
    runs = runs_frame(survey)
    if len(measures):
        notes = tuple(Paragraph(note) for note in _stale(runs, measures["run"]))
        yield Section("representations", "Representations", notes)
        pairs = read_table(tables, "pairs", survey.round.round)
        measured = {*runs.loc[runs["run"].isin(measures["run"]), "dataset"]}
        for dataset in survey.round.datasets:
            table = representations(runs, measures, pairs, dataset, _label(survey, dataset))
            blocks: tuple[Block, ...] = (table,) if dataset in measured else (UNMEASURED,)
            yield Section(f"representations {dataset}", table.title, blocks, level=3)
        table = transfer_table(survey, transfer, (EXCESS,) if transfer else ())
        yield Section("transfer", "What was transferred", (table,), level=3)
    yield from _figures(home / "figures", survey)


def representations(
    runs: pd.DataFrame, measures: pd.DataFrame, pairs: pd.DataFrame, dataset: str, label: str
) -> Table:
    """One row per arm: the measures of its last group and its logits, mean ± std over seeds.

    A pure student, the control, is compared with the teacher of its seed.
    """
    own = pairs[pairs["kind"].isin(TAUGHT) & (pairs["layer_a"] == pairs["layer_b"])]
    own = own.rename(columns={"run_a": "run", "layer_a": "layer"})
    alone = measures[measures["kind"].isna() | measures["kind"].isin(TAUGHT)]
    columns = ["run", "layer", "measure", "value"]
    values = pd.concat([alone[columns], own[columns]])
    arms = runs[(runs["dataset"] == dataset) & runs["valid"].fillna(False)]
    values = values.merge(arms[["run", "arm"]], on="run").dropna(subset="value")
    shown = [one for one in SHOWN if (values["measure"] == one[0]).any()]
    rows = []
    for arm in arms["arm"].drop_duplicates():
        of_arm = values[values["arm"] == arm]
        last = max((name for name in of_arm["layer"] if name != "logits"), default="")
        cells = []
        for measure, layer, _, places in shown:
            chosen = (of_arm["measure"] == measure) & (of_arm["layer"] == (layer or last))
            found = of_arm[chosen].groupby("run")["value"].mean()
            cells.append(summarise([float(value) for value in found]).text(places))
        rows.append((str(arm), *cells))
    title = f"{label}: last group of layers and logits, mean ± std over seeds"
    headings = (heading for _, _, heading, _ in shown)
    return Table(title, ("Model / Method", *headings), tuple(rows), keys=1)


def _stale(runs: pd.DataFrame, measured: pd.Series[str]) -> list[str]:
    """A note if valid runs are not in the tables of `analyze`."""
    left = sorted({*runs.loc[runs["valid"].fillna(False), "run"]} - {*measured})
    if not left:
        return []
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return [f"Not in these tables and figures yet: {left[0]}{more} (extract, then analyze)."]


def _figures(folder: Path, survey: Survey) -> Iterable[Section]:
    """A section per dataset that has figures."""
    round_ = survey.round
    files = {
        (dataset, name): folder / f"{round_.round}-{dataset}-{name}.png"
        for dataset in round_.datasets
        for name in FIGURES
    }
    there = {key: path for key, path in files.items() if path.is_file()}
    if not there:
        return
    small = dict(zip(there, shrunk([*there.values()]), strict=True))
    yield Section("figures", "Figures", ())
    for dataset in round_.datasets:
        images = [
            _image(there[key], small[key], FIGURES[key[1]]) for key in there if key[0] == dataset
        ]
        if images:
            title = f"Figures of {_label(survey, dataset)}"
            yield Section(f"figures {dataset}", title, tuple(images), level=3)


def shrunk(files: Sequence[Path], most: int = MOST_BYTES) -> list[bytes]:
    """PNG files with few colours, of at most `most` bytes together if the smallest width allows."""
    for width in WIDTHS:
        found = [_small(file, width) for file in files]
        if sum(map(len, found)) <= most:
            break
    return found


def _small(file: Path, width: int) -> bytes:
    with Pictures.open(file) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        size = width, round(picture.height * width / picture.width)
        picture = picture.resize(size, Pictures.Resampling.LANCZOS)
    text = io.BytesIO()
    # The default, median cut, gives a method's few pixels the colour of another method.
    octree = Pictures.Quantize.FASTOCTREE
    few = picture.quantize(COLOURS, method=octree, dither=Pictures.Dither.NONE)
    few.save(text, "PNG", optimize=True)
    return text.getvalue()


def _image(file: Path, content: bytes, what: str) -> Image:
    """A figure with its headline and what it shows as its alternative, and its caption below."""
    with Pictures.open(file) as opened:
        headline = str(opened.info.get("Title", ""))
        inches = opened.width / opened.info.get("dpi", (DPI, DPI))[0]
        width = min(round(inches * PER_INCH), PAGE_WIDTH)
        height = round(width * opened.height / opened.width)
    text = file.with_suffix(".md")
    caption = text.read_text("utf-8").strip().split("\n\n") if text.is_file() else []
    shown = caption[0] if caption else f"{what[:1].upper()}{what[1:]}."
    alternative = f"{headline.removesuffix('.')}. {shown}" if headline else shown
    return Image(content, width, height, alternative, tuple(caption), f"figures/{file.name}")


def _label(survey: Survey, dataset: str) -> str:
    return data.spec(dataset, survey.round.files).label
