"""A report as Markdown, whole or into the marked places of an author's document."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import quote

from stillhouse.errors import ConfigError
from stillhouse.show.report.document import (
    Block,
    Checklist,
    Document,
    Image,
    Paragraph,
    Picture,
    Section,
)
from stillhouse.tables import Listing, Table, render

MARK = re.compile(r"^<!-- stillhouse (.+?) -->[ \t]*$")
END = re.compile(r"^<!-- /stillhouse -->[ \t]*$")


def markdown(document: Document) -> str:
    """The document as Markdown; the runs stand in one table."""
    head = [f"# {document.title}", ""]
    if document.started:
        head += [f"Started {document.started}.", ""]
    head += [f"**Status: {document.status}**", ""]
    parts = ["\n".join(head)]
    parts.append(_section(Section("summary", "Summary", document.summary)))
    parts += [_section(section) for section in document.sections]
    parts.append(_section(Section("runs", document.all_runs.title, (document.all_runs,))))
    return "\n".join(parts)


def _section(section: Section) -> str:
    heading = f"{'#' * section.level} {section.title}\n"
    return "\n".join([heading, *(blocks(section.blocks))])


def blocks(found: Iterable[Block], home: str = "") -> list[str]:
    """Each block as Markdown that ends in an empty line; files are those of the folder `home`."""
    return [text + "\n" for block in found if (text := _block(block, home))]


def _block(block: Block, home: str) -> str:
    if isinstance(block, Paragraph):
        return f"**{_plain(block.text)}**\n" if block.strong else f"{_plain(block.text)}\n"
    if isinstance(block, Checklist):
        return "".join(f"- [{'x' if task.done else ' '}] {task.text}\n" for task in block.tasks)
    if isinstance(block, Image):
        alternative = _plain(block.alternative).replace("[", "(").replace("]", ")")
        below = "".join(f"\n{paragraph}\n" for paragraph in map(_plain, block.caption))
        return f"![{alternative}]({quote(posixpath.join(home, block.file))})\n{below}"
    if isinstance(block, Picture):
        return render(block.numbers, "md") if block.numbers else ""
    return render(block, "md") if isinstance(block, Listing) else _table(block)


def _table(table: Table) -> str:
    """A table without its title, which is the section's."""
    text = render(table, "md")
    return text.split("\n", 2)[2] if table.rows else text


def _plain(text: str) -> str:
    return " ".join(text.split())


def fill(text: str, document: Document, where: str, home: str = "") -> str:
    """A document of the author's with its marked places filled; every other byte is kept.

    A place begins with a line `<!-- stillhouse KEY -->` and ends with `<!-- /stillhouse -->`.
    KEY is `status`, `summary`, `runs` or the key of a section. Raises ConfigError naming the line
    of an unknown key, and of a place that does not end. `home` is the report's folder, seen from
    the document.
    """
    places = {
        "status": [f"**Status: {document.status}**\n"],
        "summary": blocks(document.summary),
        "runs": blocks((document.all_runs,)),
        **{section.key: blocks(section.blocks, home) for section in document.sections},
    }
    lines, filled = text.splitlines(keepends=True), []
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines, start=1):
        start = MARK.match(line.rstrip("\r\n"))
        if start and opened is None:
            key = start[1]
            if key not in places:
                raise ConfigError(
                    f"{where}:{number}: no part of the report is called '{key}'",
                    f"expected one of {', '.join(places)}",
                )
            newline = line[len(line.rstrip("\r\n")) :] or "\n"
            filled += [line, newline, *_lines(places[key], newline)]
            opened = number, key
        elif END.match(line.rstrip("\r\n")) and opened:
            filled.append(line)
            opened = None
        elif opened is None:
            filled.append(line)
    if opened:
        raise ConfigError(
            f"{where}:{opened[0]}: the place '{opened[1]}' does not end",
            "add a line <!-- /stillhouse --> below it",
        )
    return "".join(filled)


def _lines(parts: Iterable[str], newline: str) -> list[str]:
    return [part.replace("\n", newline) for part in parts]
