"""The pictures of a report, as SVG that a style sheet colours; each with its numbers as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from stillhouse import data
from stillhouse.plugin import Files
from stillhouse.rounds.survey import Survey
from stillhouse.show.report.document import Picture
from stillhouse.stats.arms import arms
from stillhouse.stats.frame import Frame
from stillhouse.stats.inference import Difference
from stillhouse.stats.wording import interval
from stillhouse.tables import Table

SYMBOLS = {
    "done": "●",
    "running": "◐",
    "stopped": "◌",
    "lost": "◌",
    "queued": "·",
    "waiting": "·",
    "pending": "·",
    "at chance": "!",
    "failed": "✕",
    "unreadable": "✕",
}
WORDS = {
    "●": "valid",
    "◐": "running",
    "◌": "interrupted",
    "·": "not started",
    "!": "not valid",
    "✕": "failed",
}
ROW, HEAD, FOOT = 22, 24, 36
NAMES, PLOT, VERDICTS = 150, 230, 180  # widths; names that are longer have more
CHARACTER, NUMBER = 7, 40  # at most: the width of a character of a name, of a number at the axis
CURVE = (300, 110)
PAD = 4


def grid(survey: Survey) -> Table:
    """The state of every run: a row per method, a column per dataset, a symbol per seed."""
    rows: dict[str, dict[str, str]] = {}
    for dataset in survey.round.datasets:
        for arm in arms(survey, dataset):
            own = rows.setdefault(arm.label, {})
            own[dataset] = "".join(SYMBOLS[cell.shown] for cell in arm.cells)
    used = {symbol for own in rows.values() for text in own.values() for symbol in text}
    legend = ", ".join(f"{symbol} {word}" for symbol, word in WORDS.items() if symbol in used)
    datasets = survey.round.datasets
    cells = tuple((label, *(own.get(name, "") for name in datasets)) for label, own in rows.items())
    columns = ("Method", *(data.spec(name, survey.round.files).label for name in datasets))
    return Table("Runs, one symbol per seed", columns, cells, (f"{legend}.",))


def forest(frames: Sequence[Frame], files: Files = ()) -> Iterator[Picture]:
    """Per dataset, every method's difference to the pure student with its 95 % interval."""
    for frame in frames:
        rows = [
            (row.arm.label, row.to_pure, row.verdict.label if row.verdict else "")
            for row in frame.rows
            if row.arm.role == "method" and row.to_pure
        ]
        if rows:
            yield _forest(data.spec(frame.dataset, files).label, rows)


def _forest(label: str, rows: Sequence[tuple[str, Difference, str]]) -> Picture:
    ends = [end for _, gap, _ in rows for end in (gap.value, gap.low, gap.high, 0.0)]
    low, high = _widened(
        min(e for e in ends if e is not None), max(e for e in ends if e is not None)
    )
    below = HEAD + ROW * len(rows)
    names = max(NAMES, CHARACTER * max(len(name) for name, _, _ in rows) + 8)

    def x(value: float) -> str:
        return f"{names + PLOT * (value - low) / (high - low):.1f}"

    parts = [
        f'<text x="0" y="14" class="title">{escape(label)}</text>',
        f'<line class="zero" x1="{x(0)}" y1="{HEAD}" x2="{x(0)}" y2="{below}"/>',
        f'<text x="{x(0)}" y="{below + 14}" class="middle">0</text>',
        *(
            f'<text x="{x(end)}" y="{below + 14}"{place}>{end:+.1f}</text>'
            for end, place in ((low, ""), (high, ' class="end"'))
            if PLOT * abs(end) / (high - low) > NUMBER + CHARACTER
        ),
        f'<text x="{names + PLOT // 2}" y="{below + 30}" class="middle">'
        "points above the pure student, 95 % interval</text>",
    ]
    for number, (name, gap, verdict) in enumerate(rows):
        y = HEAD + ROW * number + ROW // 2
        parts.append(f'<text x="{names - 8}" y="{y + 4}" class="end">{escape(name)}</text>')
        if gap.low is not None and gap.high is not None:
            ends_at = f'x1="{x(gap.low)}" y1="{y}" x2="{x(gap.high)}" y2="{y}"'
            parts.append(f'<line class="ci" {ends_at}/>')
        parts.append(f'<circle class="mean" cx="{x(gap.value)}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{names + PLOT + 8}" y="{y + 4}">{escape(verdict)}</text>')
    texts = tuple((name, interval(gap), verdict) for name, gap, verdict in rows)
    title = f"{label}: difference to the pure student"
    alternative = f"{title}: " + "; ".join(
        ", ".join(filter(None, (f"{name} {gap}", verdict))) for name, gap, verdict in texts
    )
    numbers = Table(title, ("Method", "Difference [95 % CI]", "Verdict"), texts)
    return Picture(_svg(names + PLOT + VERDICTS, below + FOOT, title, parts), alternative, numbers)


def curves(title: str, test: Sequence[float], train: Sequence[float | None]) -> Picture:
    """A run's test accuracy over the epochs (a line) and its training accuracy (dashed)."""
    width, height = CURVE
    known = [value for value in (*test, *train) if value is not None]
    low, high = _widened(min(known), max(known))

    def line(values: Sequence[float | None], kind: str) -> str:
        step = (width - 2 * PAD) / max(1, len(values) - 1)
        scale = (height - 2 * PAD) / (high - low)
        points = " ".join(
            f"{PAD + step * place:.0f},{height - PAD - scale * (value - low):.1f}"
            for place, value in enumerate(values)
            if value is not None
        )
        return f'<polyline class="{kind}" points="{points}"/>'

    parts = [
        line(train, "train"),
        line(test, "test"),
        f'<text x="{PAD}" y="12">{high:.0f} %</text>',
        f'<text x="{PAD}" y="{height - PAD}">{low:.0f} %</text>',
    ]
    alternative = (
        f"{title}: test accuracy from {test[0]:.2f} % after epoch 1 to {test[-1]:.2f} % after "
        f"epoch {len(test)}, at most {max(test):.2f} %"
    )
    return Picture(_svg(width, height, title, parts), alternative)


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f"aria-label={quoteattr(title)}>{''.join(parts)}</svg>"
    )


def _widened(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis a little beyond the data."""
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
