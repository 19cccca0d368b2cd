"""A round is closed, found by its name, opened again and closed again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import own_pictures
from fake_rounds import Bench
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError, Notice, RunError
from stillhouse.exchange.archive import (
    Archive,
    archive_of,
    move_in,
    refuse_unfinished,
    rename_files,
    restore,
    seal,
    write_material,
)
from stillhouse.exchange.move import digests_of
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.process import Process

OWN = "def build(classes, channels):\n    ...\n"


@pytest.fixture
def done(bench: Bench) -> Bench:
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all(90.0 + 0.1 * number for number in range(len(bench.runs)))
    return bench


@pytest.fixture
def archive(done: Bench) -> Archive:
    return Archive(done.workspace, "tiny")


def close(done: Bench, archive: Archive) -> None:
    refuse_unfinished(done.look(), partial=False)
    write_material(archive, done.file, done.round.files)
    move_in(archive)
    seal(archive)


def test_everything_lies_in_one_folder_with_a_manifest(done: Bench, archive: Archive) -> None:
    before = digests_of(done.workspace.experiments)
    close(done, archive)
    assert digests_of(archive.experiments) == before
    assert list(done.workspace.experiments.iterdir()) == []
    assert archive.complete
    command = ["sha256sum", "--check", "--strict", "--quiet", "manifest-sha256.txt"]
    assert subprocess.run(command, cwd=archive.path).returncode == 0
    assert load_round(archive.path / "round.yaml") == done.round
    packages = (archive.path / "environment.txt").read_text()
    assert "\ntorch==" in packages


def test_it_is_found_by_its_name_and_opens_its_own_round_file(
    done: Bench, archive: Archive
) -> None:
    close(done, archive)
    done.file.unlink()
    workspace, round_, file = open_round(done.workspace.root, "tiny")
    assert (workspace.root, file) == (archive.path, archive.path / "round.yaml")
    assert {cell.state.name for cell in survey_round(workspace, round_).cells} == {"done"}


def test_restored_it_is_as_it_was_and_a_second_archive_has_both_dates(
    done: Bench, archive: Archive
) -> None:
    before = digests_of(done.workspace.experiments)
    close(done, archive)
    restore(archive)
    assert digests_of(done.workspace.experiments) == before
    assert not archive.complete
    assert done.workspace.active() is not None
    close(done, archive)
    events = [entry["event"] for entry in archive.record["events"]]
    assert events == ["archived", "restored", "archived"]


def test_elsewhere_a_restored_round_has_the_round_file_of_the_archive(
    done: Bench, archive: Archive, tmp_path: Path
) -> None:
    close(done, archive)
    other = tmp_path / "other" / "analysis"
    other.mkdir(parents=True)
    archive.path.rename(other / archive.path.name)
    there = Workspace(tmp_path / "other")
    restore(Archive(there, "tiny"))
    _, round_, file = open_round(there.root, "tiny")
    assert round_ == done.round
    assert file.resolve() == (other / "experiment_tiny" / "round.yaml").resolve()


@pytest.mark.parametrize("moment", ["archive.json", "moved", "blank"])
def test_a_command_that_was_killed_is_repeated(
    done: Bench, archive: Archive, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command dies after `archive.json`, after the move, after the new `experiments/`."""
    before = digests_of(done.workspace.experiments)
    place = {"archive.json": "move_folder", "moved": "manifest.write", "blank": "check"}[moment]

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as faulty:
        faulty.setattr(f"stillhouse.exchange.archive.{place}", dies)
        with pytest.raises(KeyboardInterrupt):
            close(done, archive)
    move_in(archive)
    assert seal(archive).fine
    assert digests_of(archive.experiments) == before
    assert [entry["event"] for entry in archive.record["events"]] == ["archived"]


@pytest.mark.parametrize("moment", ["Path.unlink", "Archive.note", "move_folder"])
def test_a_restoration_that_was_killed_is_repeated(
    done: Bench, archive: Archive, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command dies before the manifest goes, before it is noted, before the move."""
    before = digests_of(done.workspace.experiments)
    close(done, archive)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as faulty:
        faulty.setattr(f"stillhouse.exchange.archive.{moment}", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(archive)
    restore(archive)
    assert digests_of(done.workspace.experiments) == before
    assert [entry["event"] for entry in archive.record["events"]] == ["archived", "restored"]


def test_temporary_files_of_a_killed_command_are_not_archived(
    done: Bench, archive: Archive
) -> None:
    write_material(archive, done.file, done.round.files)
    move_in(archive)
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = str(Process.me()).replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    (archive.path / "tables").mkdir()
    left = [archive.path / f".report.html@{dead}@0123abcd.tmp"]
    left += [archive.path / "tables" / f".runs.csv@{dead}@0123abcd.tmp"]
    for path in left:
        path.write_text("half")
    assert seal(archive).fine
    assert [path for path in left if path.exists()] == []


def test_an_archive_on_another_disk_is_known_by_its_folder(
    done: Bench, archive: Archive, tmp_path: Path
) -> None:
    """`analysis` is a link, as where the workspace's disk is small."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (done.workspace.root / "analysis").symlink_to(disk)
    before = digests_of(done.workspace.experiments)
    close(done, archive)
    workspace, _, _ = open_round(done.workspace.root, "tiny")
    found = archive_of(workspace, "tiny")
    assert found.experiments.is_dir()
    restore(found)
    assert digests_of(done.workspace.experiments) == before


def test_a_changed_file_is_named_and_not_restored(done: Bench, archive: Archive) -> None:
    close(done, archive)
    (archive.path / "commands.txt").write_text("other")
    with pytest.raises(RunError, match=r"1 files are changed, first commands\.txt"):
        restore(archive)
    assert archive.experiments.is_dir()


def test_runs_of_another_round_are_not_mixed_with_it(done: Bench, archive: Archive) -> None:
    close(done, archive)
    (done.workspace.experiments / "Digits").mkdir()
    with pytest.raises(RunError, match="is not empty"):
        restore(archive)
    with pytest.raises(RunError, match="archived already"):
        move_in(archive)


def test_unfinished_runs_are_refused_or_named(bench: Bench) -> None:
    first, second, *rest = bench.runs
    for path in rest:
        bench.finish(path, 90.0)
    bench.end(second, "failed", "no space left")
    with pytest.raises(RunError, match=f"1 of {len(bench.runs)} runs are not finished"):
        refuse_unfinished(bench.look(), partial=False)
    assert refuse_unfinished(bench.look(), partial=True) == [first]


def test_a_run_that_is_being_trained_is_refused_in_any_case(bench: Bench) -> None:
    bench.begin(next(iter(bench.runs)))
    with pytest.raises(RunError, match="1 runs are being trained"):
        refuse_unfinished(bench.look(), partial=True)


def test_what_was_not_archived_is_not_restored(archive: Archive) -> None:
    with pytest.raises(ConfigError, match="is not archived"):
        restore(archive)


def test_custom_components_are_copied_and_named_by_the_copy(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "own_net.py").write_text(OWN)
    file = tmp_path / "rounds" / "a.yaml"
    file.parent.mkdir()
    file.write_text(
        "round: a\nfiles:\n  - ../nets/own_net.py   # mine\ndatasets: [Digits]\n"
        "teacher: ResNet20\nstudents: [own_net]\nmethods: [pure]\nseeds: [0]\n"
    )
    archive = Archive(Workspace(tmp_path), "a")
    write_material(archive, file, load_round(file).files)
    copied = load_round(archive.path / "round.yaml")
    assert [one.path for one in copied.files] == [archive.path / "components" / "own_net.py"]
    assert "# mine" in (archive.path / "round.yaml").read_text()


def test_a_round_without_components_keeps_every_byte() -> None:
    assert rename_files("round: a\nseeds: [0]\n", []) == "round: a\nseeds: [0]\n"


@pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
def test_the_facts_of_own_images_are_copied_and_stand_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = own_pictures.folder(tmp_path)
    (tmp_path / "own_net.py").write_text(OWN)
    round_ = own_pictures.load(tmp_path, training="files: [own_net.py]\n")
    archive = Archive(Workspace(tmp_path), "own")
    write_material(archive, tmp_path / "own.yaml", round_.files)
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(top)
    copied = load_round(archive.path / "round.yaml")
    assert [one.sha256 for one in copied.files] == [one.sha256 for one in round_.files]
    assert {one.path.parent for one in copied.files} == {archive.path / "components"}
    own_pictures.folder(archive.path, classes="abc")
    with pytest.warns(Notice, match="other images"):
        assert load_round(archive.path / "round.yaml").files == copied.files
