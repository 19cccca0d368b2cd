"""Tables and lists, and how they are written: all that the program shows goes through `render`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from stillhouse.errors import printable_lines

Cell = str | int | float | None
MISSING = "—"
JSON_FORMAT = 1  # of what `--format json` writes: another number for other fields


class Format(StrEnum):
    """How a table is written."""

    rich = "rich"
    md = "md"
    csv = "csv"
    latex = "latex"
    json = "json"

    @property
    def for_programs(self) -> bool:
        """Whether programs read it: one number per cell, without rounding."""
        return self in (Format.csv, Format.json)


@dataclass(frozen=True)
class Table:
    """A title, named columns, rows as wide as the columns, and notes that stand below.

    A cell of None is a missing value: "—" for readers, empty in csv, null in json. `bold` holds
    the (row, column) of cells to stress. `details` are notes that are shown when asked for.
    Where a table is too wide, a terminal goes without the columns named in `spare`, the first
    first, and says so; then long cells are folded, or with `keys` the table is broken into blocks
    of columns that each begin with the first `keys` ones; with `stacked` each row is shown as an
    entry of a list. `empty` stands for a table of no rows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    keys: int = 0
    spare: tuple[str, ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()
    details: tuple[str, ...] = ()
    empty: str = "nothing to show"
    stacked: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells for {len(self.columns)} columns")

    def numeric(self, column: int) -> bool:
        """Whether a column has numbers and no text."""
        cells = [cell for cell in self.cells(column) if cell is not None]
        return bool(cells) and not any(isinstance(cell, str) for cell in cells)

    def mapped(self, change: Callable[[str], str]) -> Table:
        """The table with every text changed."""

        def all_of(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(map(change, texts))

        return replace(
            self,
            title=change(self.title),
            columns=all_of(self.columns),
            rows=tuple(
                tuple(change(cell) if isinstance(cell, str) else cell for cell in row)
                for row in self.rows
            ),
            notes=all_of(self.notes),
            spare=all_of(self.spare),
            details=all_of(self.details),
            empty=change(self.empty),
        )

    def listing(self) -> Listing:
        """Each row as an entry: its first cell in front, the others with their column's name."""
        named = len(self.columns) > 2
        items = []
        for row in self.rows:
            cells = zip(self.columns[1:], row[1:], strict=True)
            lines = [
                f"{name}: {text_of(cell)}" if named else text_of(cell)
                for name, cell in cells
                if cell is not None
            ]
            items.append(Item(text_of(row[0]), "\n".join(lines)))
        return Listing(self.title, tuple(items), self.notes, self.empty)

    def filled(self, column: int) -> list[bool]:
        """Which of a column's cells hold something."""
        return [cell is not None for cell in self.cells(column)]

    def cells(self, column: int) -> list[Cell]:
        """A column's cells."""
        return [row[column] for row in self.rows]

    def select(self, columns: Sequence[int]) -> Table:
        """Some of the columns."""
        return replace(
            self,
            columns=tuple(self.columns[index] for index in columns),
            rows=tuple(tuple(row[index] for index in columns) for row in self.rows),
            bold=frozenset(
                (row, columns.index(index)) for row, index in self.bold if index in columns
            ),
        )


@dataclass(frozen=True)
class Item:
    """One entry of a list: how grave it is, one sentence, and what it rests on."""

    level: str
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """A title, entries one below the other, and notes; `empty` stands for no entries."""

    title: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    empty: str = "nothing found"

    def mapped(self, change: Callable[[str], str]) -> Listing:
        """The list with every text changed."""
        items = (
            Item(change(one.level), change(one.text), tuple(map(change, one.evidence)))
            for one in self.items
        )
        notes = tuple(map(change, self.notes))
        return Listing(change(self.title), tuple(items), notes, change(self.empty))

    def table(self) -> Table:
        """The same as a table, for programs."""
        rows = tuple((one.level, one.text, "; ".join(one.evidence) or None) for one in self.items)
        return Table(self.title, ("level", "text", "evidence"), rows, self.notes)


def from_rows(title: str, rows: Sequence[Mapping[str, Cell]], notes: tuple[str, ...] = ()) -> Table:
    """A table of at least one row, each a cell by column, all with the same columns."""
    return Table(title, tuple(rows[0]), tuple(tuple(row.values()) for row in rows), notes)


def render(
    shown: Table | Listing,
    format: Format | str,
    width: int | None = None,
    color: bool = False,
    drop: bool = False,
) -> str:
    """A table or a list as text that ends in a newline.

    `rich` is for people: at most `width` columns (None: no limit), `color` with styles, `drop`
    without the spare columns that do not fit. `csv` holds the columns and rows alone; `json` is
    {format, title, columns, rows, notes}, a list being the table of its entries. Every format
    writes a number with fraction to six significant digits, and no control character.
    """
    format, shown = Format(format), shown.mapped(printable_lines)  # records may steer a terminal
    if format is Format.rich:
        from stillhouse.screen import screen

        return screen(shown, width, color, drop)
    if format is Format.latex:
        from stillhouse.latex import latex

        return latex(shown)
    if format is Format.md:
        return _markdown(shown) if isinstance(shown, Table) else _bullets(shown)
    table = shown if isinstance(shown, Table) else shown.table()
    return _csv(table) if format is Format.csv else _json(table)


def text_of(cell: Cell) -> str:
    """A cell as people read it."""
    if cell is None:
        return MISSING
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _rounded(cell: Cell) -> Cell:
    """A number to the digits that `text_of` shows, so that no rounding error is written out."""
    return float(f"{cell:g}") if isinstance(cell, float) else cell


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def shown(row: int, column: int) -> str:
        text = _escaped(text_of(table.rows[row][column]))
        return f"**{text}**" if (row, column) in table.bold else text

    lines = [f"**{table.title}**", ""]
    if not table.rows:
        return "\n".join([*lines, sentence(table.empty), *_paragraphs(table.notes)]) + "\n"
    numbers = range(len(table.columns))
    lines.append(line([_escaped(column) for column in table.columns]))
    lines.append("|" + "|".join("---:" if table.numeric(i) else "---" for i in numbers) + "|")
    lines += [line([shown(row, i) for i in numbers]) for row in range(len(table.rows))]
    return "\n".join([*lines, *_paragraphs(table.notes)]) + "\n"


def _bullets(listing: Listing) -> str:
    lines = [f"**{listing.title}**", ""]
    for one in listing.items:
        lines.append(f"- **{one.level}** {one.text}")
        lines += [f"  - {line}" for line in one.evidence]
    if not listing.items:
        lines.append(sentence(listing.empty))
    return "\n".join([*lines, *_paragraphs(listing.notes)]) + "\n"


def _paragraphs(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in ("", note)]


def sentence(text: str) -> str:
    """A phrase with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + "."


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else _rounded(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _json(table: Table) -> str:
    def plain(cell: Cell) -> Cell:
        # JSON has no infinity.
        return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else _rounded(cell)

    fields = {
        "format": JSON_FORMAT,
        "title": table.title,
        "columns": table.columns,
        "rows": [[plain(cell) for cell in row] for row in table.rows],
        "notes": (*table.notes, *table.details),
    }
    return json.dumps(fields, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
