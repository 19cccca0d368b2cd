"""A report as one self-contained page: no request, no library, readable without its script."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stillhouse.errors import printable_lines
from stillhouse.show.report.document import (
    Block,
    Checklist,
    Document,
    Image,
    Paragraph,
    Picture,
)
from stillhouse.tables import Cell, Listing, Table, text_of

NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?")


def page(document: Document) -> str:
    """The document as an HTML file. The only markup in it is the template's and the pictures'."""
    style, script = _resource("page.css"), _resource("page.js")
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "shown": shown, "plain": plain, "base64": base64}
    environment.tests["kind"] = _is
    template = environment.get_template("page.html.j2")
    text: str = template.render(
        document=document,
        style=Markup(style),
        script=Markup(script),
        digest=base64(sha256(script.encode()).digest()),
        markup=Markup,
    )
    return text


def plain(text: object) -> str:
    """A text without characters that would steer a terminal or turn the direction of others."""
    return printable_lines(str(text))


def shown(cell: Cell) -> str:
    """A table's cell as it is read, `±` not broken over lines; an empty text stays empty."""
    return "" if cell == "" else plain(text_of(cell)).replace(" ± ", "\u00a0±\u00a0")


def base64(content: bytes) -> str:
    """Bytes as text for a `data:` address."""
    return b64encode(content).decode()


def number(cell: Cell) -> str:
    """The number by which a cell is sorted: that at its beginning; empty if it has none."""
    if isinstance(cell, int | float):
        return repr(cell)
    found = NUMBER.match((cell or "").replace("−", "-"))
    return found[0] if found else ""


def _is(block: Block, kind: str) -> bool:
    """Whether a block is a `paragraph`, `checklist`, `picture`, `image`, `listing` or `table`."""
    kinds = {
        "paragraph": Paragraph,
        "checklist": Checklist,
        "picture": Picture,
        "image": Image,
        "listing": Listing,
        "table": Table,
    }
    return isinstance(block, kinds[kind])


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
