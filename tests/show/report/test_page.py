"""The page as a file: self-contained, small, and no text of a record is markup."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from report_pages import HOSTILE, large
from stillhouse.show.report.html import number, page

VOID = {"meta", "input", "link", "br", "hr", "img"}


class Reader(HTMLParser):
    """Counts tags, and fails where they are not nested."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: set[str] = set()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        found = dict(attrs)
        if "id" in found:
            self.ids[str(found["id"])] += 1
        if tag == "a":
            self.links.add(str(found["href"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    return page(large())


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_a_page_of_312_runs_with_all_its_figures_is_small(text: str) -> None:
    assert text.count("data:image/png;base64,") == 60
    assert len(text.encode()) < 5_000_000


def test_it_is_well_formed_and_every_link_has_its_target(read: Reader) -> None:
    assert read.open == []
    assert max(read.ids.values()) == 1
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert read.tags["details"] == 312


def test_no_text_of_a_record_is_markup(text: str, read: Reader) -> None:
    assert read.tags["script"] == 1
    assert "b" not in read.tags
    shown = "".join(read.text)
    assert '<script>alert("x")</script> "quoted"' in shown
    assert not set("\x1b\u202e") & set(text)
    assert "?gnp.exe" in shown


def test_nothing_is_requested(text: str) -> None:
    assert not re.search(r'(src|href)="(?!#|data:image/png;base64,)', text)
    assert "url(" not in text
    assert re.search(r"default-src 'none'; script-src 'sha256-[A-Za-z0-9+/=]{44}'", text)


def test_the_same_document_gives_the_same_bytes(text: str) -> None:
    assert page(large()) == text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(9.5, "9.5"), ("9.5 ± 0.3", "9.5"), ("−1.2", "-1.2"), ("-1.2 [n/a]", "-1.2"), (None, ""),
     ("done", ""), ("3/10", "3"), (7, "7")],
)  # fmt: skip
def test_cells_are_sorted_by_the_number_they_begin_with(cell: object, expected: str) -> None:
    assert number(cell) == expected  # type: ignore[arg-type]


def test_the_hostile_text_is_hostile() -> None:
    assert {"<", '"', "&", "\x1b", "\u202e"} <= set(HOSTILE)
