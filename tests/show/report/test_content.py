"""What a report says of a round that is planned, half done, finished, failed or imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.diagnosis.finding import Finding
from stillhouse.exchange.archive import Archive, move_in, seal, write_material
from stillhouse.exchange.scripts.write import Import
from stillhouse.rounds.find import open_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.report.build import read_material
from stillhouse.show.report.content import checklist, document, document_table, missing, status
from stillhouse.show.report.document import Document
from stillhouse.tables import Listing


def report(bench: Bench) -> Document:
    return document(read_material(bench.workspace, bench.round, bench.file))


def test_the_status_is_derived_from_the_runs(bench: Bench) -> None:
    assert status(bench.look()) == "planned: 8 runs, none has started"
    bench.finish(f"{TEACHER}/0", 95.0)
    assert status(bench.look()) == "unfinished: 1 of 8 runs are complete and valid"
    bench.begin(f"{TEACHER}/1")
    assert status(bench.look()).startswith("training: 1 of 8")
    assert missing(bench.look()) == "Missing: 1 running, 4 queued, 2 waiting."


def test_a_finished_round_is_complete_and_one_with_failures_is_not(bench: Bench) -> None:
    bench.finish_all(90.0 for _ in bench.runs)
    assert status(bench.look()) == "complete: 8 of 8 runs are complete and valid"
    assert missing(bench.look()) == "Nothing is missing."
    bench.folder(f"{RKD}/0").result.unlink()
    bench.end(f"{RKD}/0", "failed", "the loss is not finite")
    assert status(bench.look()) == "ended with failures: 7 of 8 runs are complete and valid"


def test_the_documents_table_leaves_open_cells_blank(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 95.0)
    bench.finish(f"{PURE}/0", 92.0)
    bench.finish(f"{PURE}/1", 93.0)
    bench.end(f"{RKD}/0", "failed", "no space left")
    rows = {row[0]: row[1:] for row in document_table(bench.look(), "Digits").rows}
    assert rows["Teacher (ResNet20)"] == ("95.00%", "", "95.00%")
    assert rows["Student pure (ResNetBaby)"] == ("92.00%", "93.00%", "92.50%")
    assert rows["Logit KD"] == ("", "", "")
    assert rows["RKD"] == ("", "", "FAILED")


def test_a_round_that_has_not_begun_has_a_report(bench: Bench) -> None:
    found = report(bench)
    assert found.status.startswith("planned")
    assert len(found.runs) == len(found.all_runs.rows) == 8


def test_failures_stand_with_their_cause_and_cure(bench: Bench) -> None:
    bench.end(f"{LOGIT}/0", "failed", "no space left on the device")
    found = report(bench)
    (section,) = [one for one in found.sections if one.key == "failures"]
    (listing,) = section.blocks
    assert isinstance(listing, Listing)
    assert any(f"{LOGIT}/0" in item.text for item in listing.items)
    assert any("what to do" in line for item in listing.items for line in item.evidence)


def test_the_checklist_is_read_from_the_files(bench: Bench) -> None:
    bench.workspace.activate(bench.round, bench.file)

    def ticks(place: Workspace) -> list[bool]:
        workspace, round_, file = open_round(place.root, "tiny")
        return [task.done for task in checklist(read_material(workspace, round_, file)).tasks]

    assert not any(ticks(bench.workspace))
    bench.finish_all(90.0 for _ in bench.runs)
    assert ticks(bench.workspace) == [True, False, False, False, False, False]
    archive = Archive(bench.workspace, "tiny")
    write_material(archive, bench.file, ())
    move_in(archive)
    seal(archive)
    assert ticks(bench.workspace) == [True, True, True, False, False, True]
    assert report_status(bench.workspace.root).startswith("archived: 8 of 8")


def report_status(root: Path) -> str:
    workspace, round_, file = open_round(root, "tiny")
    return document(read_material(workspace, round_, file)).status


def test_what_an_observation_lists_stands_below_it(bench: Bench) -> None:
    given = Finding("helps", scope="Digits", text="Two methods help", parts=("RKD +2", "NST +1"))
    material = read_material(bench.workspace, bench.round, bench.file)
    found = document(replace(material, observations=(given,)))
    section = next(one for one in found.sections if one.key == "table Digits")
    (listing,) = [one for one in section.blocks if isinstance(one, Listing)]
    assert [(item.text, item.evidence) for item in listing.items] == [
        ("Two methods help.", ("RKD +2", "NST +1"))
    ]


def test_the_summary_takes_the_gravest_of_every_dataset(bench: Bench) -> None:
    codes = ["failed", "helps", "inconclusive", "calibration"]  # an alarm, findings, a note
    given = [
        Finding(code, scope=dataset, text=f"{code} of {dataset}")
        for dataset in ("A", "B", "C")
        for code in (codes[1:] if dataset == "A" else codes)
    ]
    material = replace(
        read_material(bench.workspace, bench.round, bench.file), observations=tuple(given)
    )
    (listing,) = [one for one in document(material).summary if isinstance(one, Listing)]
    assert [item.text.split(":")[1].strip(" .") for item in listing.items] == [
        *(f"failed of {name}" for name in "BC"),
        *(f"helps of {name}" for name in "ABC"),
        *(f"inconclusive of {name}" for name in "AB"),
    ]


def test_alphas_report_names_why_runs_failed(alpha: Import) -> None:
    workspace, round_, file = open_round(alpha.file.parent, "alpha")
    found = document(read_material(workspace, round_, file))
    assert found.status == "imported: 31 of 43 runs are complete and valid"
    (listing,) = next(one for one in found.sections if one.key == "failures").blocks
    assert isinstance(listing, Listing)
    text = " ".join(f"{item.text} {' '.join(item.evidence)}" for item in listing.items)
    assert "scipy" in text
    assert "rkd" in text


@pytest.mark.parametrize("earlier", [True, False])
def test_what_changed_stands_where_the_earlier_round_file_lies_beside(
    tmp_path: Path, earlier: bool
) -> None:
    bench = Bench(tmp_path, compares_to="before", changes={"epochs": "longer"} if earlier else {})
    if earlier:
        text = bench.file.read_text().replace("round: tiny", "round: before")
        lines = [
            line for line in text.splitlines() if "changes" not in line and "longer" not in line
        ]
        text = "\n".join(line for line in lines if "compares_to" not in line)
        bench.file.with_name("before.yaml").write_text(text.replace("epochs: 2", "epochs: 1"))
    titles = [section.title for section in report(bench).sections]
    assert ("What Changed From Before" in titles) is earlier
    bench.finish_all(90.0 for _ in bench.runs)
    bench.workspace.activate(bench.round, bench.file)
    archive = Archive(bench.workspace, "tiny")
    write_material(archive, bench.file, ())
    move_in(archive)
    found = document(read_material(*open_round(bench.workspace.root, "tiny")))
    assert ("What Changed From Before" in [one.title for one in found.sections]) is earlier
