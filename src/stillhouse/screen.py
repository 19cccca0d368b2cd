"""Tables and lists on a screen: nothing is wider than it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from stillhouse.tables import Listing, Table, text_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

GAP = 2
READABLE = 20
ENDLESS = 10_000


def screen(shown: Table | Listing, width: int | None, color: bool, drop: bool) -> str:
    """A table or a list in at most `width` columns; `drop`: without spare columns that do not fit.

    A column that was dropped is named in one line.
    """
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width or ENDLESS,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    notes = list(shown.notes)
    if isinstance(shown, Table) and drop and width:
        shown, dropped = without_spare(shown, width)
        if dropped:
            notes.append(f"Not shown at this width: {', '.join(dropped)} (--format csv has all).")
    if isinstance(shown, Table) and shown.stacked and not fits(shown, width):
        shown = shown.listing()
    empty = not (shown.rows if isinstance(shown, Table) else shown.items)
    _print_line(console, f"{shown.title}: {shown.empty}" if empty else shown.title, bold=True)
    if not empty and isinstance(shown, Table):
        for block in blocks(shown, width):
            console.print()
            console.print(_grid(block, width))
    elif isinstance(shown, Listing) and not empty:
        console.print()
        console.print(_entries(shown))
    if notes:
        console.print()
        console.print(_bulleted(notes))
    written: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in written.splitlines()) + "\n"


def _print_line(console: Console, text: str, bold: bool) -> None:
    from rich.text import Text

    console.print(Text(text, style="bold" if bold else "", overflow="fold"))


def _grid(table: Table, width: int | None) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    sizes = widths(table, width, fold=not table.keys)
    if sizes is None:  # one column beside the first ones that is wider than the screen by itself
        full = natural(table)
        sizes = share([1] * len(full), full, (width or ENDLESS) - GAP * (len(full) - 1))
    grid = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for index, (column, size) in enumerate(zip(table.columns, sizes, strict=True)):
        justify = "right" if table.numeric(index) else "left"
        grid.add_column(Text(column), justify=justify, overflow="fold", width=size)  # type: ignore[arg-type]
    for number, row in enumerate(table.rows):
        styles = ["bold" if (number, index) in table.bold else "" for index in range(len(row))]
        cells = zip(row, styles, strict=True)
        grid.add_row(*(Text(text_of(cell), style=style) for cell, style in cells))
    return grid


def _entries(listing: Listing) -> RichTable:
    """Each entry with its level in front; what it rests on is indented below it."""
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for one in listing.items:
        grid.add_row(Text(one.level, style="bold"), Text(one.text))
        for line in one.evidence:
            grid.add_row("", Padding(Text(line, overflow="fold"), (0, 0, 0, GAP)))
    return grid


def _bulleted(notes: Sequence[str]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for note in notes:
        grid.add_row("-", Text(note))
    return grid


def without_spare(table: Table, width: int) -> tuple[Table, tuple[str, ...]]:
    """The table with as many of its spare columns as fit, and the names of the others.

    A spare column that holds nothing is left out and not named.
    """
    dropped: list[str] = []
    kept = table.select(
        [
            index
            for index, name in enumerate(table.columns)
            if name not in table.spare or not table.rows or any(table.filled(index))
        ]
    )
    for name in table.spare:
        if fits(kept, width):
            break
        if name in kept.columns:
            dropped.append(name)
            kept = kept.select([i for i, column in enumerate(kept.columns) if column != name])
    return kept, tuple(sorted(dropped, key=table.columns.index))


def widths(table: Table, width: int | None, fold: bool) -> list[int] | None:
    """How wide each column is so that the table has at most `width` columns; None if it cannot be.

    Headings of several words are folded first; with `fold` long texts are too, the longest most,
    but none below `READABLE` characters.
    """
    full = natural(table)
    if width is None:
        return full
    room = width - GAP * (len(full) - 1)
    least = [
        max([*map(cell_len, name.split() or [""]), *map(cell_len, _texts(table, index))])
        for index, name in enumerate(table.columns)
    ]
    if sum(least) > room and fold:
        text = [not table.numeric(index) for index in range(len(full))]
        least = [min(size, READABLE) if t else size for size, t in zip(least, text, strict=True)]
    return share(least, full, room) if sum(least) <= room else None


def natural(table: Table) -> list[int]:
    """The most characters in each column, its name included."""
    return [max(map(cell_len, [name, *_texts(table, i)])) for i, name in enumerate(table.columns)]


def share(least: Sequence[int], full: Sequence[int], room: int) -> list[int]:
    """Widths between `least` and `full` of which as few as possible are cut, the largest first."""
    found = list(least)
    for cap in range(max(full), 0, -1):
        found = [max(low, min(high, cap)) for low, high in zip(least, full, strict=True)]
        if sum(found) <= room:
            break
    return found


def fits(table: Table, width: int | None) -> bool:
    """Whether a table can be shown without folding a cell."""
    return widths(table, width, fold=False) is not None


def blocks(table: Table, width: int | None) -> list[Table]:
    """The table in blocks of columns that fit, each beginning with its first columns."""
    if widths(table, width, fold=not table.keys) is not None:
        return [table]
    first = list(range(table.keys or 1))
    groups = [[*first]]
    for index in range(len(first), len(table.columns)):
        if len(groups[-1]) > len(first) and not fits(table.select([*groups[-1], index]), width):
            groups.append([*first])
        groups[-1].append(index)
    return [table.select(group) for group in groups]


def _texts(table: Table, column: int) -> list[str]:
    return [text_of(cell) for cell in table.cells(column)]
