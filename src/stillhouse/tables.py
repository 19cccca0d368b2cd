"""The one table type and its renderer: every table of the program goes through `render`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from stillhouse.errors import printable_lines

if TYPE_CHECKING:
    from rich.table import Table as RichTable

Cell = str | int | float | None
MISSING = "—"
LONG = 40
GAP = 3
# LaTeX: characters of a block, and shares of a line of a character, a column's gap, a paragraph.
PAGE, CHARACTER, SEPARATOR, NARROWEST = 84, 0.0145, 0.035, 0.13
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "—": "---",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "−": r"$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "Δ": r"$\Delta$",
    "\n": " ",
}


class Format(StrEnum):
    """How a table is written."""

    rich = "rich"
    md = "md"
    csv = "csv"
    latex = "latex"
    json = "json"


@dataclass(frozen=True)
class Table:
    """A title, named columns, rows as wide as the columns, and notes that stand below.

    A cell of None is a missing value: "—" for readers, empty in csv, null in json. Where a table
    is wider than the page its cells are folded; with `keys`, it is broken into blocks of columns
    instead, each beginning with the first `keys` columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    keys: int = 0

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells for {len(self.columns)} columns")

    def numeric(self, column: int) -> bool:
        """Whether a column has numbers and no text."""
        cells = [cell for cell in self._cells(column) if cell is not None]
        return bool(cells) and not any(isinstance(cell, str) for cell in cells)

    def width(self, column: int) -> int:
        """The most characters in a column, its name included."""
        return max(len(_text(cell)) for cell in (self.columns[column], *self._cells(column)))

    def mapped(self, change: Callable[[str], str]) -> Table:
        """The table with every text changed."""
        return replace(
            self,
            title=change(self.title),
            columns=tuple(map(change, self.columns)),
            rows=tuple(
                tuple(change(cell) if isinstance(cell, str) else cell for cell in row)
                for row in self.rows
            ),
            notes=tuple(map(change, self.notes)),
        )

    def _cells(self, column: int) -> list[Cell]:
        return [row[column] for row in self.rows]

    def blocks(self, width: int | None) -> list[Table]:
        """The table in blocks of columns that fit into `width` characters, without its notes."""
        widths = [GAP + self.width(index) for index in range(len(self.columns))]
        first = list(range(self.keys))
        groups, used = [[*first]], sum(widths[: self.keys])
        for index in range(self.keys, len(self.columns)):
            if width and self.keys and len(groups[-1]) > self.keys and used + widths[index] > width:
                groups.append([*first])
                used = sum(widths[: self.keys])
            groups[-1].append(index)
            used += widths[index]
        return [self._select(group) for group in groups]

    def _select(self, columns: list[int]) -> Table:
        rows = tuple(tuple(row[index] for index in columns) for row in self.rows)
        names = tuple(self.columns[index] for index in columns)
        return Table(self.title, names, rows, keys=self.keys)


def from_rows(title: str, rows: Sequence[Mapping[str, Cell]], notes: tuple[str, ...] = ()) -> Table:
    """A table of at least one row, each a cell by column, all with the same columns."""
    return Table(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows), notes)


def render(
    table: Table, format: Format | str, width: int | None = None, color: bool = False
) -> str:
    """The table as text that ends in a newline.

    `rich` is for people: `width` columns of a terminal (None: no limit), `color` with styles.
    `csv` holds the columns and rows alone; `json` is {title, columns, rows, notes}. Every format
    writes a number with fraction to six significant digits, and no control character.
    """
    table = table.mapped(printable_lines)  # records may hold what steers a terminal
    match Format(format):
        case Format.rich:
            return _rich(table, width, color)
        case Format.md:
            return _markdown(table)
        case Format.csv:
            return _csv(table)
        case Format.latex:
            return _latex(table)
        case Format.json:
            return _json(table)


def _text(cell: Cell) -> str:
    if cell is None:
        return MISSING
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _rounded(cell: Cell) -> Cell:
    """A number to the digits that `_text` shows, so that no rounding error is written out."""
    return float(f"{cell:g}") if isinstance(cell, float) else cell


def _rich(table: Table, width: int | None, color: bool) -> str:
    from rich.console import Console
    from rich.text import Text

    # Never wider than what was asked for; a pipe has no width, so nothing is wrapped there.
    console = Console(
        file=io.StringIO(),
        width=width or 10_000,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    for number, block in enumerate(table.blocks(width)):
        console.print(_grid(block, title=number == 0))
    for note in table.notes:
        console.print(Text(note))
    written: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in written.splitlines()) + "\n"


def _grid(table: Table, title: bool) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    heading = Text(table.title) if title else None
    grid = RichTable(title=heading, title_justify="left", box=SIMPLE_HEAD)
    for index, column in enumerate(table.columns):
        justify = "right" if table.numeric(index) else "left"
        grid.add_column(Text(column), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in table.rows:
        grid.add_row(*(Text(_text(cell)) for cell in row))
    return grid


def _markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def escape(text: str) -> str:
        return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")

    rules = ["---:" if table.numeric(i) else "---" for i in range(len(table.columns))]
    lines = [f"**{table.title}**", "", line([escape(column) for column in table.columns])]
    lines.append("|" + "|".join(rules) + "|")
    lines += [line([escape(_text(cell)) for cell in row]) for row in table.rows]
    for note in table.notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else _rounded(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _latex(table: Table) -> str:
    def line(cells: list[str]) -> str:
        # "[" after a row's end would be read as the optional argument of "\\".
        text = " & ".join(cells)
        return ("{}" if text.startswith("[") else "") + text + r" \\"

    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.title)}}}"]
    for block in table.blocks(PAGE):
        spec = "".join(_column(block, index) for index in range(len(block.columns)))
        lines += [r"\footnotesize\setlength{\tabcolsep}{4pt}"] if table.keys else []
        lines += [rf"\begin{{tabular}}{{{spec}}}", r"\toprule"]
        lines += [line([_tex(column) for column in block.columns]), r"\midrule"]
        long = [] if table.keys else _long(block)
        lines += [
            line([_tex(_text(cell), index in long) for index, cell in enumerate(row)])
            for row in block.rows
        ]
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [r"\par\medskip"] if table.keys else []
    lines += [r"\raggedright"] if table.notes else []
    lines += [rf"\par\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _column(table: Table, index: int) -> str:
    if table.numeric(index):
        return "r"
    long = _long(table)
    if index not in long or table.keys:
        return "l"
    short = [column for column in range(len(table.columns)) if column not in long]
    used = CHARACTER * sum(table.width(column) for column in short) + SEPARATOR * len(table.columns)
    return rf"p{{{max((1 - used) / len(long), NARROWEST):.2f}\linewidth}}"


def _long(table: Table) -> list[int]:
    """The columns that are set as paragraphs: those with a long text."""
    return [
        index
        for index in range(len(table.columns))
        if any(len(_text(row[index])) > LONG for row in table.rows)
    ]


def _tex(text: str, breaks: bool = False) -> str:
    """Text in LaTeX; with `breaks` a path may be broken behind its slashes and underscores."""
    found = "".join(LATEX.get(character, character) for character in text)
    if breaks:
        found = found.replace("/", r"/\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")
    return found


def _json(table: Table) -> str:
    def plain(cell: Cell) -> Cell:
        # JSON has no infinity.
        return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else _rounded(cell)

    fields = {
        "title": table.title,
        "columns": table.columns,
        "rows": [[plain(cell) for cell in row] for row in table.rows],
        "notes": table.notes,
    }
    return json.dumps(fields, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
