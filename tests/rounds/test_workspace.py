from __future__ import annotations

import os
from pathlib import Path

import pytest

from fake_rounds import Bench, write_round
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.find import open_round
from stillhouse.rounds.workspace import Workspace


def test_a_round_is_found_by_its_path(bench: Bench, tmp_path: Path) -> None:
    elsewhere = write_round(tmp_path / "elsewhere" / "mine.yaml")
    assert open_round(bench.workspace.root, str(elsewhere))[2] == elsewhere


@pytest.mark.parametrize("place", ["rounds/other.yaml", "other.yaml"])
def test_a_round_is_found_by_its_name(bench: Bench, place: str) -> None:
    file = write_round(bench.workspace.root / place, round="other")
    workspace, round_, found = open_round(bench.workspace.root, "other")
    assert (workspace, round_.round, found) == (bench.workspace, "other", file)


def test_the_active_round_is_found_by_its_name(bench: Bench, tmp_path: Path) -> None:
    file = write_round(tmp_path / "far" / "file.yaml", round="far")
    bench.workspace.activate(load_round(file), file)
    assert open_round(bench.workspace.root, "far")[2] == file


def test_an_unknown_round_says_where_it_was_looked_for(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="no round file for 'gamma'") as caught:
        open_round(bench.workspace.root, "gamma")
    assert str(bench.workspace.root / "rounds" / "gamma.yaml") in caught.value.hint


def test_a_second_round_is_refused(bench: Bench) -> None:
    workspace = bench.workspace
    workspace.activate(bench.round, bench.file)
    other = bench.round.model_copy(update={"round": "other"})
    with pytest.raises(RunError, match=r"'tiny' is active in .* 'other' cannot start") as e:
        workspace.activate(other, bench.file)
    assert "--root" in e.value.hint
    assert workspace.active() == {
        "format": 1,
        "round": "tiny",
        "file": os.path.relpath(bench.file, bench.workspace.root),
    }


def test_a_round_file_may_move(bench: Bench, tmp_path: Path) -> None:
    bench.workspace.activate(bench.round, bench.file)
    moved = bench.file.rename(tmp_path / "moved.yaml")
    bench.workspace.activate(bench.round, moved)
    assert open_round(bench.workspace.root, "tiny")[2] == moved


def test_looking_writes_nothing(bench: Bench) -> None:
    assert bench.workspace.active() is None
    bench.look()
    assert not bench.workspace.experiments.exists()


def test_a_round_has_its_own_teachers(bench: Bench) -> None:
    assert bench.workspace.teachers(bench.round) == bench.workspace.experiments


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("../first", "../first/experiments"),
        ("../first/experiments", "../first/experiments"),
        ("alpha", "analysis/experiment_alpha/experiments"),
    ],
)
def test_teachers_from(bench: Bench, source: str, folder: str) -> None:
    root = bench.workspace.root
    (root / folder).mkdir(parents=True)
    round_ = bench.round.model_copy(update={"teachers_from": source})
    assert bench.workspace.teachers(round_).resolve() == (root / folder).resolve()


def test_teachers_from_an_unknown_round(tmp_path: Path) -> None:
    file = write_round(tmp_path / "tiny.yaml", teachers_from="nowhere")
    with pytest.raises(ConfigError, match="no round 'nowhere' found") as caught:
        Workspace(tmp_path).teachers(load_round(file))
    assert "analysis/experiment_nowhere" in caught.value.hint
