"""The table of each part of the page: its head, and the rows of what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.performance.pairs import Row, ratios

Cells = tuple[str, ...]
SPREAD = ("[least, most]", "Pairs")


@dataclass(frozen=True)
class Form:
    """The head of a part's table, and the cells of one of its rows: a line, or several."""

    head: Cells
    cells: Callable[[Row], Iterator[Cells]]


def faster(row: Row) -> Iterator[Cells]:
    """How often ours fits into the other's time."""
    yield row["name"], *_spread(ratios(row))


def slower(row: Row) -> Iterator[Cells]:
    """How often the other fits into ours."""
    yield row["name"], *_spread(inverse(row))


def _shares(row: Row) -> Iterator[Cells]:
    yield row["name"], *_spread([100 * value for value in ratios(row)], digits=0)


def _beside(row: Row) -> Iterator[Cells]:
    shares, rest = row["shares"], row["mathematics"]
    values = (*shares.values(), sum(shares.values()), *rest.values())
    yield row["name"], *(f"{value:.1f}" for value in values)


def _evaluation(row: Row) -> Iterator[Cells]:
    ours, other = (
        f"{statistics.median(values):,.0f}" for values in zip(*row["faults"], strict=True)
    )
    yield row["name"], *_spread(ratios(row)), ours, other


def _images(row: Row) -> Iterator[Cells]:
    memory = (f"{row[name]:.0f}" for name in ("images_mib", "peak_mib"))
    yield row["name"], *_spread(inverse(row)), *memory


def _commands(row: Row) -> Iterator[Cells]:
    for one in row["commands"]:
        spent = f"{one['seconds']:.2f}", f"{one['mib']:.0f}"
        yield f"{row['runs']:,}", one["command"], one["index"], *spent


FASTER = Form(("What", "Times as fast", *SPREAD), faster)
FORMS = {
    "convolutions": Form(("Student's step", "Share of its convolutions, %", *SPREAD), _shares),
    "beside": Form(
        (
            *("Round", "Data, %", "Guards, %", "Records, %", "All three, %"),
            *("Teacher", "Forward", "Method", "Backward", "Optimizer", "Evaluation"),
        ),
        _beside,
    ),
    "evaluation": Form(
        ("Images", "Times as fast", *SPREAD, "Page faults per 1,000", "Without"), _evaluation
    ),
    "growth": Form(("Cohort", "Times one student's step", *SPREAD), slower),
    "images": Form(
        ("Epoch of", "Times the shortest", *SPREAD, "MiB of images", "MiB of the process"), _images
    ),
    "commands": Form(("Runs", "Command", "Index", "Processor s", "MiB"), _commands),
}


def table(part: str, rows: list[Row]) -> list[str]:
    """Return a part's table as lines of Markdown, then what was not measured and why."""
    left_out = [f"- {row['name']}: not measured ({why})" for row in rows if (why := _why(row))]
    form = FORMS.get(part, FASTER)
    body = [cells for row in rows if not _why(row) for cells in form.cells(row)]
    rule = ("---", *("---:" for _ in form.head[1:]))
    lines = [form.head, rule, *body] if body else []
    gap = [""] if lines and left_out else []
    return [*(f"| {' | '.join(cells)} |" for cells in lines), *gap, *left_out]


def _why(row: Row) -> str:
    return str(row.get("failed") or row.get("left_out") or "")


def inverse(row: Row) -> list[float]:
    """Return our seconds over the other's of each pair."""
    return [1 / ratio for ratio in ratios(row)]


def _spread(values: list[float], digits: int = 2) -> Cells:
    low, middle, high = (
        f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return middle, f"[{low}, {high}]", str(len(values))
