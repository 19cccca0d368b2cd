"""The author's document: only the marked places change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.errors import ConfigError
from stillhouse.show.report.document import (
    Checklist,
    Document,
    Paragraph,
    Section,
    Task,
)
from stillhouse.show.report.markdown import fill, markdown
from stillhouse.tables import Table

TABLE = Table("Digits", ("Model / Method", "Seed 0"), (("RKD", "90.00%"), ("NST", "")))
DOCUMENT = Document(
    title="Experiment Tiny",
    status="training: 1 of 2 runs are complete and valid",
    started="",
    summary=(Paragraph("Missing: 1 queued.", strong=True),),
    sections=(
        Section("table Digits", "Digits", (TABLE,), level=3),
        Section("checklist", "Checklist", (Checklist((Task("Fill", True), Task("Move", False))),)),
    ),
    all_runs=Table("All runs", ("Run", "State"), (("a", "done"), ("b", "queued"))),
    runs=(),
)
AUTHOR = """# Mine

<!-- stillhouse status -->
old
<!-- /stillhouse -->
| my | table |

<!-- stillhouse table Digits -->
<!-- /stillhouse -->
The end, without a newline"""


def test_only_the_marked_places_change() -> None:
    filled = fill(AUTHOR, DOCUMENT, "mine.md")
    status = "**Status: training: 1 of 2 runs are complete and valid**"
    place = f"<!-- stillhouse status -->\n\n{status}\n<!-- /stillhouse -->\n"
    assert filled.startswith(f"# Mine\n\n{place}| my | table |\n")
    assert "old" not in filled
    assert "| RKD | 90.00% |\n| NST |  |\n" in filled  # an open cell stays blank
    for line in AUTHOR.splitlines():
        assert line in filled or line == "old"
    assert filled.endswith("The end, without a newline")
    assert fill(filled, DOCUMENT, "mine.md") == filled


def test_other_line_ends_are_kept() -> None:
    filled = fill(AUTHOR.replace("\n", "\r\n"), DOCUMENT, "mine.md")
    assert filled.replace("\r\n", "").count("\n") == 0
    assert filled.replace("\r\n", "\n") == fill(AUTHOR, DOCUMENT, "mine.md")


@given(st.text())
def test_a_document_without_marks_keeps_every_character(text: str) -> None:
    if "<!-- stillhouse" not in text:
        assert fill(text, DOCUMENT, "mine.md") == text


def test_an_unknown_key_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"mine\.md:3: .*'tabel Digits'") as found:
        fill("\n\n<!-- stillhouse tabel Digits -->\n<!-- /stillhouse -->\n", DOCUMENT, "mine.md")
    assert "table Digits" in str(found.value.hint)


def test_a_place_that_does_not_end_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"mine\.md:2: .*does not end"):
        fill("a\n<!-- stillhouse status -->\nb\n", DOCUMENT, "mine.md")


def test_the_twin_has_every_part() -> None:
    text = markdown(DOCUMENT)
    assert text.startswith("# Experiment Tiny\n")
    assert "### Digits\n" in text
    assert "- [x] Fill\n- [ ] Move\n" in text
    assert "| b | queued |" in text
