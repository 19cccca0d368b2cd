"""`stillhouse cluster check` on commands that answer well or badly."""

from __future__ import annotations

import sys
from pathlib import Path

from fake_scheduler import make_site
from stillhouse.cluster import check
from stillhouse.cluster.check import check_site
from stillhouse.cluster.site import Site
from stillhouse.tables import Table

SOURCE = Path(__file__).parents[2] / "src"


def site_with(folder: Path, queue: str = "gpu_1 up", **environment: object) -> Site:
    commands = folder / "bin"
    commands.mkdir()
    for name, says in {"sbatch": "", "scancel": "", "squeue": "", "sinfo": queue}.items():
        (commands / name).write_text(f"#!/bin/sh\necho {says}\n")
        (commands / name).chmod(0o755)
    fields = {"variables": {"PYTHONPATH": str(SOURCE)}, "python": sys.executable} | environment
    return make_site(queue="gpu_1", commands=str(commands), data=str(folder), environment=fields)


def states(table: Table) -> dict[str, str]:
    return {str(row[0]): str(row[1]) for row in table.rows}


def test_a_good_site_passes_every_check(tmp_path: Path) -> None:
    found = check_site(site_with(tmp_path), tmp_path)
    assert set(states(found).values()) == {"good"}, found.rows
    assert len(found.rows) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    site = site_with(
        tmp_path, queue="", python="/no/python", activate=["/no/activate"], modules=["no/such"]
    )
    site = site.model_copy(update={"data": str(tmp_path / "nowhere")})
    monkeypatch.setattr(check, "MIN_SPEED", 10**9)
    monkeypatch.setattr(check, "MIN_FREE_GB", 10**9)
    (tmp_path / "bin" / "scancel").unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    found = check_site(site, tmp_path)
    bad = {name for name, state in states(found).items() if state == "BAD"}
    assert bad == {
        "commands", "queue", "modules and activation", "Python", "packages", "data", "space",
        "write speed",
    }  # fmt: skip
    text = {row[0]: row[2] for row in found.rows}
    assert "scancel" in str(text["commands"]) and "nowhere" in str(text["data"])
    assert "there is no queue 'gpu_1'" in str(text["queue"])
