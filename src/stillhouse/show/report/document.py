"""What a report consists of: titled sections of paragraphs, tables, lists and pictures."""

from __future__ import annotations

from dataclasses import dataclass

from stillhouse.tables import Listing, Table


@dataclass(frozen=True)
class Paragraph:
    """A text; `strong` stresses it."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Picture:
    """An SVG with a sentence that says what it shows, and the same numbers as a table."""

    svg: str
    alternative: str
    numbers: Table | None = None


@dataclass(frozen=True)
class Image:
    """A PNG that is part of the page, and the file that it is made from, relative to the report.

    `width` and `height` are those on the page, in pixels; `caption` has its paragraphs.
    """

    png: bytes
    width: int
    height: int
    alternative: str
    caption: tuple[str, ...]
    file: str


@dataclass(frozen=True)
class Task:
    """A line of a checklist."""

    text: str
    done: bool


@dataclass(frozen=True)
class Checklist:
    """What is to be done, and what of it is."""

    tasks: tuple[Task, ...]


Block = Paragraph | Table | Listing | Picture | Image | Checklist


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it; `key` names it in markers and links."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True)
class RunSection:
    """One run: its row in the table of all runs, and what is shown when it is opened."""

    path: str
    state: str
    method: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report: `summary` is its first screen, `sections` the document, `runs` every run."""

    title: str
    status: str
    started: str
    summary: tuple[Block, ...]
    sections: tuple[Section, ...]
    all_runs: Table
    runs: tuple[RunSection, ...]
