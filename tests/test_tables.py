from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.cli.output import Format, show
from stillhouse.latex import LATEX
from stillhouse.screen import blocks
from stillhouse.tables import Item, Listing, Table, render

TABLE = Table(
    title="Accuracy [%]",
    columns=("Method", "Seed 0", "n", "Mean ± std"),
    rows=(
        ("[bold]logit", 93.25, 3, "93.20 ± 0.08"),
        ("rkd|a_b", None, 0, None),
    ),
    notes=("Kind: final epoch.",),
)


def test_rich() -> None:
    assert render(TABLE, "rich").splitlines() == [
        "Accuracy [%]",
        "",
        "Method       Seed 0  n  Mean ± std",
        "────────────────────────────────────",
        "[bold]logit   93.25  3  93.20 ± 0.08",
        "rkd|a_b           —  0  —",
        "",
        "- Kind: final epoch.",
    ]


def test_rich_keeps_to_the_width_and_loses_no_text() -> None:
    narrow = render(Table("t", ("a", "b"), (("word " * 20, "x" * 60),)), "rich", width=40)
    assert max(map(len, narrow.splitlines())) <= 40
    assert narrow.count("word") == 20
    assert narrow.count("x") == 60


def test_rich_has_styles_only_if_asked() -> None:
    assert "\x1b[" not in render(TABLE, "rich")
    assert "\x1b[" in render(TABLE, "rich", color=True)


def test_markdown() -> None:
    assert render(TABLE, "md") == (
        "**Accuracy [%]**\n\n"
        "| Method | Seed 0 | n | Mean ± std |\n"
        "|---|---:|---:|---|\n"
        "| [bold]logit | 93.25 | 3 | 93.20 ± 0.08 |\n"
        "| rkd\\|a_b | — | 0 | — |\n\n"
        "Kind: final epoch.\n"
    )


def test_latex() -> None:
    assert render(TABLE, "latex") == (
        "\\begin{table}\n\\centering\n\\caption{Accuracy [\\%]}\n"
        "\\begin{tabular}{lrrl}\n\\toprule\n"
        "Method & Seed 0 & n & Mean $\\pm$ std \\\\\n\\midrule\n"
        "{}[bold]logit & 93.25 & 3 & 93.20 $\\pm$ 0.08 \\\\\n"
        "rkd$|$a\\_b & --- & 0 & --- \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\raggedright\n"
        "\\par\\footnotesize Kind: final epoch.\n\\end{table}\n"
    )


def test_json() -> None:
    fields = json.loads(render(TABLE, "json"))
    assert fields["title"] == TABLE.title
    assert fields["columns"] == list(TABLE.columns)
    assert fields["rows"] == [list(row) for row in TABLE.rows]
    assert fields["notes"] == list(TABLE.notes)
    infinite = Table("t", ("a",), ((float("inf"),),))
    assert json.loads(render(infinite, "json"))["rows"] == [["inf"]]


cells = st.none() | st.integers() | st.floats(allow_nan=False) | st.text()


@settings(deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1))
def test_any_table_renders_in_every_format(
    rows: list[tuple[str | int | float | None, ...]],
) -> None:
    table = Table("t", ("a", "b"), tuple(rows))
    for name in Format:
        assert render(table, name).endswith("\n")


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="a,\"'\n —|&\\"), st.integers())))
def test_csv_reads_back(rows: list[tuple[str, int]]) -> None:
    text = render(Table("t", ("name", "value"), tuple(rows)), "csv")
    expected = [["name", "value"], *([name, str(value)] for name, value in rows)]
    assert list(csv.reader(io.StringIO(text, newline=""))) == expected


def test_csv_leaves_a_missing_value_empty() -> None:
    assert render(TABLE, "csv").splitlines()[2] == "rkd|a_b,,0,"


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells for 2 columns"):
        Table("t", ("a", "b"), (("x",),))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path: Path) -> None:
    every = Table("all", ("text", "long"), tuple((key, f"{key} " * 40) for key in LATEX))
    wide = Table("wide", tuple("abcdefghij"), (("x" * 20,) * 10,), keys=1)
    body = "".join(render(table, "latex") for table in (TABLE, every, wide))
    text = (
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
        f"{body}\\end{{document}}"
    )
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=batchmode", "t.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("format", list(Format))
def test_show_ends_with_the_next_command(
    format: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    show(TABLE, format, "stillhouse plan rounds/beta.yaml")
    out, err = capsys.readouterr()
    line = "next: stillhouse plan rounds/beta.yaml\n"
    people = format in (Format.rich, Format.md)
    assert out == render(TABLE, format) + (line if people else "")
    assert err == ("" if people else line)


def test_a_table_with_keys_is_broken_into_blocks() -> None:
    table = Table("t", ("key", "aaaa", "bbbb", "cccc"), (("k", 1, 2, 3),), ("n",), keys=1)
    assert [block.columns for block in blocks(table, 17)] == [
        ("key", "aaaa", "bbbb"),
        ("key", "cccc"),
    ]
    assert [block.columns for block in blocks(table, None)] == [table.columns]
    assert render(table, "rich", 17).count("key") == 2
    assert render(table, "md").count("key") == 1


def test_latex_has_one_tabular_and_breaks_long_paths() -> None:
    row = ("k", "x" * 50, "y" * 50)
    wide = Table("w", ("key", "one", "two"), (row,), keys=1, spare=("one",))
    text = render(wide, "latex")
    assert text.count("\\begin{tabular}{ll}") == 1 and "p{" not in text
    assert text.startswith("% not shown: one (csv has all)\n") and "x" * 50 not in text
    long = render(Table("l", ("a", "b"), (("x", "some/long_path " * 5),)), "latex")
    assert "p{0.92\\linewidth}" in long and "some/\\allowbreak{}long\\_\\allowbreak{}path" in long


WORDS = ("Method", "Accuracy", "Interval", "Verdict")
SPARE = Table("t", WORDS, (("logit", 93.2, "x" * 20, "better"),), ("n",), 1, ("Interval",))


def test_a_narrow_terminal_goes_without_spare_columns_and_says_so() -> None:
    text = render(SPARE, "rich", 40, drop=True)
    assert "x" * 20 not in text and "93.2" in text and "better" in text
    assert "Not shown at this width: Interval" in text
    assert "Not shown" not in render(SPARE, "rich", 60, drop=True)
    nothing = Table("t", WORDS, (("logit", 93.2, None, "better"),), (), 1, ("Interval",))
    shown = render(nothing, "rich", 60, drop=True)
    assert "Interval" not in shown and "Not shown" not in shown
    piped = render(SPARE, "rich", 40)
    assert "x" * 20 in piped and "Not shown" not in piped


def test_headings_are_folded_before_cells_and_numbers_never() -> None:
    table = Table("t", ("Extra trained parameters", "Text"), ((1234567890, "word " * 10),))
    lines = render(table, "rich", 30).splitlines()
    assert max(map(len, lines)) <= 30
    assert any("1234567890" in line for line in lines)


def test_rows_with_long_texts_are_shown_one_below_the_other() -> None:
    row = ("momentum", "0.9", None, "word " * 12)
    table = Table("t", ("Name", "A", "B", "Why"), (row,), stacked=True)
    lines = render(table, "rich", 40).splitlines()
    assert lines[2].split() == ["momentum", "A:", "0.9"]
    assert lines[3].split()[:2] == ["Why:", "word"] and max(map(len, lines)) <= 40
    assert render(table, "rich", 200).splitlines()[2].split() == [*table.columns]
    assert "| momentum | 0.9 |" in render(table, "md")


def test_nothing_found_is_one_sentence_and_no_table_head() -> None:
    table = Table("Jobs", ("Job", "Id"), (), empty="none was submitted")
    assert render(table, "rich") == "Jobs: none was submitted\n"
    assert render(table, "md") == "**Jobs**\n\nNone was submitted.\n"
    assert "tabular" not in render(table, "latex")
    assert render(table, "csv") == "Job,Id\n"


def test_the_best_cell_is_bold() -> None:
    table = Table("t", ("a", "b"), (("x", 1), ("y", 2)), bold=frozenset({(1, 1)}))
    assert "| y | **2** |" in render(table, "md")
    assert "y & \\textbf{2} \\\\" in render(table, "latex")
    assert "\x1b[1m2\x1b[0m" in render(table, "rich", color=True)
    assert table.select([1]).bold == {(1, 0)}


LIST = Listing("Causes", (Item("failed", "long " * 20 + "end.", ("log:3: OSError",)),), ("n",))


def test_a_list_has_its_level_in_front_and_what_it_rests_on_indented() -> None:
    lines = render(LIST, "rich", 40).splitlines()
    assert lines[:3] == ["Causes", "", "failed  long long long long long long"]
    assert max(map(len, lines)) <= 40
    assert lines[-3:] == ["          log:3: OSError", "", "- n"]
    assert "\n- **failed** long" in render(LIST, "md")
    assert "\n  - log:3: OSError\n" in render(LIST, "md")
    assert "\\item \\textbf{failed} long" in render(LIST, "latex")
    assert render(LIST, "csv").splitlines()[0] == "level,text,evidence"
    assert render(Listing("Causes", ()), "rich") == "Causes: nothing found\n"


def test_notes_asked_for_are_always_in_json() -> None:
    table = Table("t", ("a",), ((1,),), ("short",), details=("long",))
    assert json.loads(render(table, "json"))["notes"] == ["short", "long"]
    assert "long" not in render(table, "rich")
