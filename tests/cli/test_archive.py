"""A round is reported, archived, verified, packed and opened again from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import call
from fake_rounds import RKD, Bench
from stillhouse.cli.main import app


@pytest.fixture
def done(bench: Bench) -> Bench:
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all(90.0 for _ in bench.runs)
    return bench


def test_a_round_goes_through_its_whole_life(done: Bench, tmp_path: Path) -> None:
    root, packed, other = done.workspace.root, tmp_path / "tiny.tar.zst", tmp_path / "other"
    output = call("report", "tiny", "--root", root)
    assert "report.html" in output
    call("archive", "tiny", "--root", root, "--no-analysis")
    page = (root / "analysis" / "experiment_tiny" / "report.html").read_text()
    assert "archived: 8 of 8 runs" in page
    assert "all" in call("archive", "tiny", "--root", root, "--verify")
    call("archive", "tiny", "--root", root, "--pack", packed)
    call("archive", packed, "--root", other, "--restore")
    for place in (root, other):
        assert "8 done" in call("status", "tiny", "--root", place)


def test_an_unfinished_round_is_archived_only_when_asked(bench: Bench) -> None:
    bench.workspace.activate(bench.round, bench.file)
    *rest, last = bench.runs
    for path in rest:
        bench.finish(path, 90.0)
    result = CliRunner().invoke(app, ["archive", "tiny", "--root", str(bench.workspace.root)])
    assert result.exit_code == 1
    assert bench.workspace.marker.is_file()
    output = call("archive", "tiny", "--root", bench.workspace.root, "--partial", "--no-analysis")
    assert f"not finished: {last}" in output


def test_a_report_fills_an_authors_document(done: Bench, tmp_path: Path) -> None:
    document = tmp_path / "mine.md"
    document.write_text("Mine.\n<!-- stillhouse table Digits -->\n<!-- /stillhouse -->\nEnd.\n")
    call("report", "tiny", "--root", done.workspace.root, "--into", document)
    text = document.read_text()
    assert text.startswith("Mine.\n")
    assert text.endswith("End.\n")
    assert "| RKD | 90.00% | 90.00% | 90.00% |" in text
    assert not (done.workspace.root / "analysis").exists()


def test_a_round_whose_weights_are_lost_is_not_archived_with_its_analysis(done: Bench) -> None:
    """The hand-made runs have no weights; nothing has moved."""
    result = CliRunner().invoke(app, ["archive", "tiny", "--root", str(done.workspace.root)])
    assert "--no-analysis" in str(getattr(result.exception, "hint", "")), result.output
    assert done.folder(f"{RKD}/0").result.is_file()
    assert not (done.workspace.root / "analysis" / "experiment_tiny" / "archive.json").exists()


@pytest.mark.parametrize("words", [("--verify", "--restore"), ("--no-weights",)])
def test_options_that_do_not_fit_are_refused(done: Bench, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(
        app, ["archive", "tiny", "--root", str(done.workspace.root), *words]
    )
    assert result.exit_code != 0
    assert done.folder(f"{RKD}/0").result.is_file()


@pytest.mark.parametrize(
    "words", ["run", "report", "extract", "analyze", "reset --yes", "verify --losses"]
)
@pytest.mark.parametrize("name", ["tiny", "file"])
def test_an_archived_round_is_read_and_not_written(done: Bench, words: str, name: str) -> None:
    """By its name and by its round file alike."""
    root = done.workspace.root
    round_ = done.file if name == "file" else name
    call("archive", "tiny", "--root", root, "--no-analysis")
    for reading in ("status", "table", "observe", "doctor", "plan", "list runs"):
        assert "tiny" in call(*reading.split(), round_, "--root", root)
    assert "8 done" in call("status", round_, "--root", root)
    verb, *options = words.split()
    result = CliRunner().invoke(app, [verb, str(round_), "--root", str(root), *options])
    assert "--restore" in str(getattr(result.exception, "hint", "")), result.output
    call("archive", "tiny", "--root", root, "--verify")
