"""The pages that `make docs` writes are those of this version."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from stillhouse.represent.measures import REGISTRY
from stillhouse.represent.measures.page import FIGURES
from stillhouse.show import figures as figures_of_a_round

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs", ROOT / "tools" / "docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_those_of_this_version(docs: ModuleType) -> None:
    for name, text in docs.pages().items():
        assert (ROOT / "docs" / name).read_text() == text, f"{name}: `make docs`"


def test_every_measure_has_a_section_and_a_link(docs: ModuleType) -> None:
    text = docs.pages()["measures.md"]
    assert sorted(re.findall(r"^### (\w+)$", text, re.M)) == sorted(REGISTRY)
    assert sorted(re.findall(r"\]\(#(\w+)\)", text)) == sorted(REGISTRY)


def test_the_pictures_of_the_pages_are_there(docs: ModuleType) -> None:
    text = docs.pages()["measures.md"]
    pictures = re.findall(r"!\[.+\]\((.+)\)", text)
    assert len(pictures) == len(set(pictures)) > 5
    for name in pictures:
        assert (ROOT / "docs" / name).read_bytes().startswith(b"\x89PNG")
    named = {name for figures in FIGURES.values() for name in re.findall(r"`(\w+)`", figures)}
    assert named <= set(figures_of_a_round.FIGURES) and set(FIGURES) <= set(REGISTRY)
