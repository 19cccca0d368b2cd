"""What keeps a version from being released."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import release
import stillhouse

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src" / "stillhouse").mkdir(parents=True)
    (tmp_path / "src" / "stillhouse" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    text = "# Changes\n\n## 1.2.3\n\n### Upgrading from 1.2.2\n\n## 1.2.2\n"
    (tmp_path / "CHANGELOG.md").write_text(text)
    return tmp_path


def test_a_version_that_agrees_everywhere_is_ready(project: Path) -> None:
    assert release.disagreements(project, "1.2.3", ["v1.2.2"]) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pyproject.toml", "1.2.3", "1.2.4", "pyproject.toml: version is 1.2.4"),
        ("src/stillhouse/__init__.py", "1.2.3", "1.2.4", "__version__ is not 1.2.3"),
        ("CHANGELOG.md", "## 1.2.3", "## 1.2.9", "no section '## 1.2.3'"),
        ("CHANGELOG.md", "## 1.2.3", "## 1.2.3 (not released)", "says that it is not released"),
        ("CHANGELOG.md", "### Upgrading from 1.2.2", "", "has no part 'Upgrading'"),
    ],
)
def test_what_does_not_agree_is_named(
    project: Path, file: str, old: str, new: str, said: str
) -> None:
    path = project / file
    path.write_text(path.read_text().replace(old, new))
    (found,) = release.disagreements(project, "1.2.3", [])
    assert said in found


def test_a_version_is_released_once(project: Path) -> None:
    assert release.disagreements(project, "1.2.3", ["v1.2.3"]) == ["git: the tag v1.2.3 exists"]


def test_the_package_and_the_project_file_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == stillhouse.__version__
    assert f"## {stillhouse.__version__}" in (ROOT / "CHANGELOG.md").read_text()
