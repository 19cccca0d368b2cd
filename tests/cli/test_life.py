"""A trained round is archived, restored, extended by a custom method, and archived again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import call
from fake_rounds import Bench
from represented import EXAMPLES, LOGIT, WIDE
from stillhouse.exchange.archive import Archive
from stillhouse.exchange.move import digests_of

pytestmark = pytest.mark.slow
OWN = "Digits/own_method/ResNetBaby_to_own_model/0"


@pytest.fixture
def archive(trained: Bench) -> Archive:
    trained.workspace.activate(trained.round, trained.file)
    return Archive(trained.workspace, "tiny")


def ticks(archive: Archive) -> list[str]:
    lines = (archive.path / "README.md").read_text().splitlines()
    return [line for line in lines if line.startswith("- [")]


def test_every_line_of_the_checklist_is_done_by_archive(archive: Archive) -> None:
    root = archive.workspace.root
    call("archive", "tiny", "--root", root, "--data-root", root, "--device", "cpu", "--jobs", 1)
    assert len(ticks(archive)) == 6
    assert [line for line in ticks(archive) if not line.startswith("- [x]")] == []
    names = {path.name for path in (archive.path / "tables").iterdir()}
    assert {"runs.csv", "epochs.csv", "measures.csv", "pairs.csv"} <= names
    assert any((archive.path / "figures").glob("*-fidelity.svg"))
    assert (archive.experiments / LOGIT / "representations.safetensors").is_file()
    call("archive", "tiny", "--root", root, "--verify")


def test_without_analysis_the_checklist_says_so(archive: Archive) -> None:
    call("archive", "tiny", "--root", archive.workspace.root, "--no-analysis")
    open_ = [line for line in ticks(archive) if line.startswith("- [ ]")]
    assert [line.rpartition("stillhouse ")[2] for line in open_] == ["extract)", "analyze)"]


def add_method(bench: Bench) -> None:
    """The custom method is one more line and one more file of the round file."""
    shutil.copy(EXAMPLES / "own_method.py", bench.file.parents[1] / "own" / "own_method.py")
    content: dict[str, Any] = yaml.safe_load(bench.file.read_text())
    content["methods"] += ["own_method"]
    content["files"] += ["../own/own_method.py"]
    bench.file.write_text(yaml.safe_dump(content, sort_keys=False))


def age(run: Path) -> None:
    """Let a run's record say that it was trained by another version of the code."""
    for file in run.glob("attempts/*/claim.json"):
        claim = json.loads(file.read_text())
        file.write_text(json.dumps(claim | {"source": "0123456789abcdef"}))


def test_a_custom_method_joins_a_round_that_was_archived(trained: Bench, archive: Archive) -> None:
    root, file = trained.workspace.root, trained.file
    how = ("--root", root, "--data-root", root, "--device", "cpu", "--jobs", 1)
    for path in trained.runs:
        age(trained.folder(path).path)
    call("archive", "tiny", *how)
    assert "own_method" not in (archive.path / "round.yaml").read_text()
    before = digests_of(archive.experiments)

    call("archive", "tiny", "--root", root, "--restore")
    add_method(trained)
    assert "1 queued" in call("status", file, "--root", root)
    call("run", file, *how)

    after = digests_of(trained.workspace.experiments)
    kept = {name: digest for name, digest in before.items() if name != "round.json"}
    assert {name: after.get(name) for name in kept} == kept
    new = {str(Path(name).parent) for name in after if name not in before}
    assert {name.partition("/attempts")[0] for name in new} <= {OWN, "."} | components(new)

    csv = call("list", "runs", file, "--root", root, "--format", "csv")
    rows = {line.split(",")[0]: line for line in csv.splitlines()}
    assert all(",done," in rows[path] for path in (OWN, WIDE, LOGIT))
    table = call("table", file, "--root", root, "--format", "md")
    assert "Matched logits" in table and "Widened" in table
    assert "2 versions of the code" in table

    call("report", file, "--root", root)
    page = (archive.path / "report.html").read_text()
    assert "Matched logits" in page and "2 versions of the code" in page

    call("archive", file, *how)
    assert [event["event"] for event in archive.record["events"]] == [
        "archived", "restored", "archived",
    ]  # fmt: skip
    dates = [event["time"] for event in archive.record["events"]]
    assert dates == sorted(set(dates))
    assert (archive.path / "components" / "own_method.py").is_file()
    text = (archive.path / "README.md").read_text()
    assert (text.count("| archived |"), text.count("| restored |")) == (2, 1)


def components(folders: set[str]) -> set[str]:
    """The folder in which the code of custom components is kept."""
    return {name for name in folders if "Digits" not in name}
