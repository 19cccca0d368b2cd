"""Damage to one run's files: its numbers stay right or it is unreadable; others never notice."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from damaged_files import Content, another_kind, clear, damaged, edited, fuzz, replaced
from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.errors import RunError
from stillhouse.rounds.check import check_round
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.show.progress import Progress
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table
from stillhouse.tables import render

RECORDS = [
    {"epoch": epoch, "test": {"accuracy": 40.5 * epoch}, "time": {"seconds": 1.5}, "lr": 0.1}
    for epoch in (1, 2)
]
METRICS = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
SEALED = ("run.json", "result.json")


@dataclass(frozen=True)
class Bedlam:
    """A round with a run in every state, and what is seen of it before any damage."""

    bench: Bench
    before: Survey

    def files(self, name: str) -> list[tuple[Cell, Path]]:
        """Every file of that name, and whose it is."""
        return [
            (cell, path)
            for cell in self.before.cells
            for path in sorted(cell.folder.path.rglob(name))
        ]


@pytest.fixture(scope="module")
def bedlam(tmp_path_factory: pytest.TempPathFactory) -> Bedlam:
    bench = Bench(tmp_path_factory.mktemp("bedlam"))
    bench.workspace.activate(bench.round, bench.file)
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{TEACHER}/1", 91.5, best=92.25)
    bench.finish(f"{PURE}/0", 80.0)
    bench.end(f"{PURE}/1", "lost")
    bench.end(f"{LOGIT}/0", "stopped", "received SIGTERM")
    bench.end(f"{RKD}/0", "failed", "the loss term 'ce' is not finite")
    bench.begin(f"{LOGIT}/1")
    for path in (f"{PURE}/1", f"{LOGIT}/0", f"{LOGIT}/1"):
        bench.folder(path).attempts()[-1].metrics.write_bytes(METRICS)
    done = bench.folder(f"{TEACHER}/0")
    (done.path / "metrics.jsonl").write_bytes(METRICS)
    edit(done.result, lambda result: result.update(metrics=sha256(METRICS).hexdigest()))
    return Bedlam(bench, bench.look())


def look_everywhere(bedlam: Bedlam) -> Survey:
    """What `status`, `table` and a running `run` do; none may raise."""
    survey = bedlam.bench.look()
    progress = Progress(Console(file=io.StringIO()))
    progress.update(bedlam.before)
    progress.update(survey)
    tables = [status_table(survey), *seed_tables(survey, "final"), *seed_tables(survey, "best")]
    for table in tables:
        assert all(note.isprintable() for note in table.notes), table.notes
        render(table, "md"), render(table, "json")
    return survey


def others_are_untouched(before: Survey, survey: Survey, victim: Cell) -> None:
    for was, now in zip(before.cells, survey.cells, strict=True):
        if was.folder != victim.folder:
            assert was.state == now.state


def outcome(victim: Cell, now: Cell, path: Path) -> str:
    if now.state == victim.state:
        return "correct"
    if now.state.name == "unreadable":
        assert str(path) in now.state.reason, now.state.reason
        return "refused"
    assert now.state.name != "done", "a run that was not done is done, or its numbers changed"
    return f"{victim.state.name} seen as {now.state.name}"


def preflight(bedlam: Bedlam, victim: Cell) -> None:
    """What `run` checks first: it may refuse a recipe that was edited, and nothing else."""
    bench = bedlam.bench
    try:
        check_round(bench.workspace, bench.round, bench.file, None, bench.workspace.root)
    except RunError as error:
        assert "another configuration" in error.message and victim.config.path in error.message


@pytest.mark.parametrize(
    ("name", "share"),
    [("run.json", 80), ("result.json", 110), ("status.json", 80), ("claim.json", 50)],
)
def test_json_of_a_run(bedlam: Bedlam, pytestconfig: pytest.Config, name: str, share: int) -> None:
    files = bedlam.files(name)
    contents = [path.read_bytes() for _, path in files]
    paths = tuple(path for _, path in files)

    def case(random: Random) -> str:
        index = random.randrange(len(files))
        victim, path = files[index]
        others = [other for other in contents if other != contents[index]]
        kind = random.choice(("damaged", "damaged", "edited", "resealed", "kind"))
        match kind:
            case "damaged":
                content = damaged(random, contents[index], *others)
            case "kind":
                content = another_kind(random, tuple(p for p in paths if p != path))
            case _:
                content = edited(random, contents[index], sealed=kind == "resealed")
        with replaced(path, content):
            survey = look_everywhere(bedlam)
            preflight(bedlam, victim)
        others_are_untouched(bedlam.before, survey, victim)
        now = next(cell for cell in survey.cells if cell.folder == victim.folder)
        if kind == "resealed" and name in SEALED and now.state.name == "done":
            return "edited and sealed again"
        return outcome(victim, now, path)

    fuzz(pytestconfig, name, share, case)


def test_epoch_records(bedlam: Bedlam, pytestconfig: pytest.Config) -> None:
    """Of a completed run all or none; of others what is whole up to where it was torn."""
    files = bedlam.files("metrics.jsonl")

    def case(random: Random) -> str:
        victim, path = random.choice(files)
        whole, records = path.read_bytes(), victim.folder.records()
        kind = random.choice(("damaged", "torn", "edited", "kind"))
        content = whole[: random.randrange(len(whole))]
        if kind == "damaged":
            content = damaged(random, whole, METRICS, METRICS.replace(b"40.5", b"30.5"))
        elif kind == "edited":
            *lines, last = whole.splitlines()
            content = b"\n".join([*lines, edited(random, last, sealed=False), b""])
        with replaced(path, another_kind(random, (path,)) if kind == "kind" else content):
            others_are_untouched(bedlam.before, look_everywhere(bedlam), victim)
            try:
                found = victim.folder.records()
            except RunError as error:
                return clear(error, path)
        if found == records:
            return "correct"
        assert victim.state.name != "done", "records of a completed run changed unnoticed"
        assert kind != "torn" or found == records[: len(found)]
        return f"{len(found)} of {len(records)}"

    fuzz(pytestconfig, "metrics.jsonl", 70, case)


def test_the_mark_of_the_active_round(bedlam: Bedlam, pytestconfig: pytest.Config) -> None:
    """Nothing is listed under a damaged mark, and its error says how to go on."""
    path = bedlam.bench.workspace.marker
    content = path.read_bytes()

    def case(random: Random) -> str:
        kind = random.choice(("damaged", "edited", "kind"))
        other: Content = damaged(random, content)
        if kind == "edited":
            other = edited(random, content, sealed=False)
        elif kind == "kind":
            other = another_kind(random, (path,))
        with replaced(path, other):
            try:
                survey = look_everywhere(bedlam)
            except RunError as error:
                return clear(error, path)
        states = [cell.state for cell in survey.cells]
        if states == [cell.state for cell in bedlam.before.cells]:
            return "correct"
        assert {state.name for state in states} == {"missing"}
        return "another round is active"

    fuzz(pytestconfig, "round.json", 30, case)
