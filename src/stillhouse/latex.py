"""Tables and lists in LaTeX (packages booktabs): one tabular per table."""

from __future__ import annotations

from stillhouse.screen import natural, without_spare
from stillhouse.tables import Listing, Table, sentence, text_of

# The characters of a line, and shares of it of a character, a column's gap, a paragraph.
PAGE, CHARACTER, SEPARATOR, NARROWEST = 84, 0.0145, 0.035, 0.13
LONG = 40
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


def latex(shown: Table | Listing) -> str:
    """A floating table, or a list; a spare column that does not fit is named in a comment."""
    if isinstance(shown, Listing):
        return _itemize(shown)
    table, dropped = without_spare(shown, PAGE)
    lines = [f"% not shown: {', '.join(dropped)} (csv has all)"] if dropped else []
    lines += [r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.title)}}}"]
    lines += _tabular(table) if table.rows else [_tex(sentence(table.empty))]
    lines += [r"\raggedright"] if table.notes else []
    lines += [rf"\par\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tabular(table: Table) -> list[str]:
    def line(cells: list[str]) -> str:
        # "[" after a row's end would be read as the optional argument of "\\".
        text = " & ".join(cells)
        return ("{}" if text.startswith("[") else "") + text + r" \\"

    def cell(row: int, column: int) -> str:
        text = _tex(text_of(table.rows[row][column]), column in long)
        return rf"\textbf{{{text}}}" if (row, column) in table.bold else text

    numbers, long = range(len(table.columns)), [] if table.keys else _long(table)
    spec = "".join(_column(table, index) for index in numbers)
    return [
        *([r"\footnotesize\setlength{\tabcolsep}{4pt}"] if table.keys else []),
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        line([_tex(column) for column in table.columns]),
        r"\midrule",
        *(line([cell(row, index) for index in numbers]) for row in range(len(table.rows))),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _itemize(listing: Listing) -> str:
    lines = [rf"\paragraph{{{_tex(listing.title)}}}"]
    if not listing.items:
        lines.append(_tex(sentence(listing.empty)))
    else:
        lines.append(r"\begin{itemize}")
        for one in listing.items:
            lines.append(rf"\item \textbf{{{_tex(one.level)}}} {_tex(one.text)}")
            lines += [rf"\par\footnotesize {_tex(text, True)}" for text in one.evidence]
            lines += [r"\normalsize"] if one.evidence else []
        lines.append(r"\end{itemize}")
    return "\n".join([*lines, *(rf"\par {_tex(note)}" for note in listing.notes)]) + "\n"


def _column(table: Table, index: int) -> str:
    if table.numeric(index):
        return "r"
    long = _long(table)
    if index not in long or table.keys:
        return "l"
    short = [column for column in range(len(table.columns)) if column not in long]
    letters = sum(natural(table)[column] for column in short)
    used = CHARACTER * letters + SEPARATOR * len(table.columns)
    return rf"p{{{max((1 - used) / len(long), NARROWEST):.2f}\linewidth}}"


def _long(table: Table) -> list[int]:
    """The columns that are set as paragraphs: those with a long text."""
    return [
        index
        for index in range(len(table.columns))
        if any(len(text_of(row[index])) > LONG for row in table.rows)
    ]


def _tex(text: str, breaks: bool = False) -> str:
    """Text in LaTeX; with `breaks` a path may be broken behind its slashes and underscores."""
    found = "".join(LATEX.get(character, character) for character in text)
    if breaks:
        found = found.replace("/", r"/\allowbreak{}").replace(r"\_", r"\_\allowbreak{}")
    return found
