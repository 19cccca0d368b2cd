"""pyproject.toml: what it requires is what the code imports, and each with a lowest version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import versions

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NOT_OURS = ("bench", "browser", "dev", "docs")  # for benchmarks, tests, development, the site
MODULES = {  # what is imported, where the package has another name
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "pyyaml": "yaml",
    "flufl.lock": "flufl",
    "backports.zstd": "backports",
}


def module_of(requirement: str) -> str:
    name = re.split(r"[^\w.-]", requirement)[0]
    return MODULES.get(name, name)


def imported() -> set[str]:
    """The top-level modules that the package imports, by statement or by name."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import():
                    found |= {alias.name for alias in node.names}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module)
                case ast.Constant(value=str(text)) if text in NAMED:
                    found.add(text)
    return {name.partition(".")[0] for name in found}


# What a required package brings along as a part of its interface.
WITH = {"markupsafe": "jinja2", "pydantic_core": "pydantic", "typing_extensions": "pydantic"}
# Loaded by name where they are used: the backport of zstd, and what pandas writes Parquet with.
NAMED = ("backports.zstd", "pyarrow")
USED = imported() - set(sys.stdlib_module_names) - {"stillhouse"}
NEEDED = {module_of(one) for one in PROJECT["dependencies"]}
OPTIONAL = {
    module_of(one) for name, extra in EXTRAS.items() if name not in NOT_OURS for one in extra
}


def test_everything_that_is_required_is_imported() -> None:
    assert sorted((NEEDED | OPTIONAL) - USED) == []


def test_everything_that_is_imported_is_required() -> None:
    assert {WITH.get(name, name) for name in USED} <= NEEDED | OPTIONAL


def test_nothing_is_required_twice() -> None:
    names = [module_of(one) for one in PROJECT["dependencies"]]
    assert sorted(names) == sorted({*names})
    assert NEEDED.isdisjoint(OPTIONAL)


def test_development_has_every_extra_but_the_benchmarks() -> None:
    (own,) = [one for one in EXTRAS["dev"] if one.startswith("stillhouse[")]
    assert {*own.partition("[")[2].rstrip("]").split(",")} == {*EXTRAS} - {"bench", "dev"}


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    given = ("torch>=2.6,<3", "a.b>=1,<2; python_version < '3.14'", "pyarrow>=15")
    expected = ["torch==2.6", "a.b==1; python_version < '3.14'", "pyarrow==15"]
    assert [*map(versions.lowest, given)] == expected
    with pytest.raises(ValueError, match="lower bound"):
        versions.lowest("pandas<3")


def test_everything_that_users_install_has_a_lower_bound() -> None:
    found = versions.requirements(ROOT)
    assert {module_of(versions.lowest(one)) for one in found} == NEEDED | OPTIONAL
