"""The pages that `make docs` writes are those of this version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import docs
import stillhouse
from field_texts import HELP, UNWRITTEN
from measures_page import FIGURES
from stillhouse.cli.main import app
from stillhouse.config.facts import SHIPPED
from stillhouse.config.schema import Round, Strict
from stillhouse.represent.measures import REGISTRY
from stillhouse.show import figures as figures_of_a_round
from test_architecture import LAYERS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")
# Every key file, section, parameter, table and line of the checklist of the document.
DOCUMENT = """
train.py | runner.py | toolbox/models.py | toolbox/data_loader.py
toolbox/distillation.py | run.job
extract.py | analyze.py
Motivation | What Changed From Alpha | Known issues from alpha | Training Configuration
Experiment Matrix | Experiment Alpha Results | Experiment Beta Results | Key Files
Key observations
Epochs | Batch size | Optimizer | Learning rate | LR schedule | Label smoothing | Loss formula
KD alpha | KD temperature | Teacher | Student | Seeding
CIFAR-10 | CIFAR-100 | SVHN | TinyImageNet
Teacher (ResNet-112) | Student pure (ResNet-56) | Logit KD | Factor Transfer | Attention Transfer
FitNets | NST | RKD
Archival Checklist | Fill in all accuracy tables above
Move `experiments/` into `analysis/experiment_beta/experiments/`
Create new blank `experiments/` directory | Run `extract.py` to get representations
Run `analyze.py` to generate figures | Move analysis scripts and outputs into this directory
"""
NAMES = [name for line in DOCUMENT.strip().splitlines() for name in line.split(" | ")]


def test_generated_pages_are_those_of_this_version() -> None:
    for name, text in docs.pages().items():
        assert (ROOT / "docs" / name).read_text() == text, f"{name}: `make docs`"


def test_every_measure_has_a_section_and_a_link() -> None:
    text = docs.pages()["measures.md"]
    assert sorted(re.findall(r"^### (\w+)$", text, re.M)) == sorted(REGISTRY)
    assert sorted(re.findall(r"\]\(#(\w+)\)", text)) == sorted(REGISTRY)


def test_the_pictures_of_the_pages_are_there() -> None:
    text = docs.pages()["measures.md"]
    pictures = re.findall(r"!\[.+\]\((.+)\)", text)
    assert len(pictures) == len(set(pictures)) > 5
    for name in pictures:
        assert (ROOT / "docs" / name).read_bytes().startswith(b"\x89PNG")
    named = {name for figures in FIGURES.values() for name in re.findall(r"`(\w+)`", figures)}
    assert named <= set(figures_of_a_round.FIGURES) and set(FIGURES) <= set(REGISTRY)


def commands(command: Any, name: str = "stillhouse") -> dict[str, Any]:
    """Every command below one, by its words."""
    found = {name: command}
    for one, below in getattr(command, "commands", {}).items():
        found |= commands(below, f"{name} {one}")
    return found


@pytest.mark.parametrize(("name", "command"), commands(typer.main.get_command(app)).items())
def test_every_command_and_every_option_has_help(name: str, command: Any) -> None:
    assert command.help
    assert [one.opts[0] for one in command.params if not one.help] == []


@pytest.mark.parametrize("model", HELP, ids=lambda model: model.__name__)
def test_every_field_of_a_round_file_has_help(model: type[Strict]) -> None:
    written = {name for name in model.model_fields if (model, name) not in UNWRITTEN}
    assert {*HELP[model]} == written
    assert all(HELP[model].values())


def test_every_part_of_a_round_file_has_a_table() -> None:
    parts = {type(field.default) for field in Round.model_fields.values()}
    assert {part for part in parts if issubclass(part, Strict)} <= {*HELP}


def test_the_architecture_page_names_every_room() -> None:
    rooms = re.findall(r"^\| (`.+?) \|", (DOCS / "architecture.md").read_text(), re.M)
    named = {name for room in rooms for name in re.findall(r"`(\w+)`", room)}
    assert named == {name for layer in LAYERS for name in layer} - {"__main__"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_document_is_on_its_page(name: str) -> None:
    rows = [line for line in (DOCS / "document.md").read_text().splitlines() if name in line]
    assert rows


def test_the_document_has_no_key_file_or_line_that_the_list_lacks() -> None:
    file = ROOT.parent / "shared" / "experiment_beta.md"
    if not file.is_file():
        pytest.skip("the document is not beside the checkout")
    text = file.read_text()
    names = re.findall(r"^- \[ \] (.+)$", text, re.M) + re.findall(r"^\| `(.+?)` \|", text, re.M)
    assert names and {*names} <= {*NAMES}


def anchors(page: Path) -> set[str]:
    """The headings of a page as the links of a site and of a repository name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r": ([\w-]+\.md)$", text, re.M)
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == stillhouse.__version__
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_shipped_facts_are_those_of_the_code() -> None:
    found = json.loads(json.dumps(docs.shipped_facts()))
    assert json.loads(SHIPPED.read_text()) == found, "`make docs`"
