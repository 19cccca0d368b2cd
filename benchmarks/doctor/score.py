"""What the doctor said of each run, against what was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.doctor.worlds import Scene, World
from scipy.stats import beta

from stillhouse.config.schema import Round
from stillhouse.diagnosis.case import Case, Peers
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.read import read_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.tables import Cell, Table

OLD_FIELDS = {"train": ("total", "accuracy"), "test": ("accuracy", "ce")}
LEVEL = 0.95
Row = dict[str, Any]


def judge(
    scene: Scene, world: World, workspace: Workspace, round_: Round, paths: list[str]
) -> list[Row]:
    """A row per run: the true code, the first that was named, all of them; also post hoc."""
    rows = []
    for case in read_round(workspace, round_):
        if case.path in paths:
            full = [finding.code for finding in diagnose(case)]
            bare = [finding.code for finding in diagnose(strip(case))]
            rows.append(
                {
                    "world": world.name,
                    "scene": scene.name,
                    "run": case.path,
                    "code": scene.code,
                    "found": full[0] if full else None,
                    "all": full,
                    "bare": bare[0] if bare else None,
                }
            )
    return rows


def strip(case: Case) -> Case:
    """The case as the earlier scripts would have recorded it: losses and accuracies only."""
    teacher = _bare(case.teacher) if case.teacher else None
    peers = Peers(tuple(_bare(peer) for peer in case.peers.cases))
    return replace(_bare(case), teacher=teacher, peers=peers)


def _bare(case: Case) -> Case:
    return replace(case, records=tuple(_old(record) for record in case.records))


def _old(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {part: {k: record[part][k] for k in names} for part, names in OLD_FIELDS.items()}
    return {"epoch": record["epoch"], **kept, "time": {"seconds": record["time"]["seconds"]}}


def tables(rows: list[Row]) -> list[Table]:
    """Per world: what was named for each cause, and recall and false alarms with intervals."""
    worlds = dict.fromkeys(row["world"] for row in rows)
    made = [_confusion(world, [row for row in rows if row["world"] == world]) for world in worlds]
    return [*made, _rates(rows, list(worlds))]


def _confusion(world: str, rows: list[Row]) -> Table:
    codes = dict.fromkeys(row["code"] for row in rows if row["code"])
    lines: list[tuple[Cell, ...]] = []
    for code in [*codes, None]:
        own = [row for row in rows if row["code"] == code]
        other = ", ".join(
            f"{row['found'] or 'nothing'} ({row['scene']})" for row in own if row["found"] != code
        )
        first = sum(row["found"] == code for row in own)
        bare = sum(row["bare"] == code for row in own)
        lines.append((code or "healthy", len(own), first, bare, other or "none"))
    columns = ("Truth", "Runs", "Named first", "From losses and accuracies alone", "Else")
    return Table(world, columns, tuple(lines))


def _rates(rows: list[Row], worlds: list[str]) -> Table:
    lines: list[tuple[Cell, ...]] = []
    for world in worlds:
        ill = [row for row in rows if row["world"] == world and row["code"]]
        well = [row for row in rows if row["world"] == world and not row["code"]]
        named = sum(row["found"] == row["code"] for row in ill)
        alarms = sum(row["found"] is not None for row in well)
        lines.append(
            (
                world,
                f"{named}/{len(ill)}",
                interval(named, len(ill)),
                f"{alarms}/{len(well)}",
                interval(alarms, len(well)),
            )
        )
    columns = ("World", "Named first", "95 %", "False alarms", "95 %")
    return Table("Recall and false alarms, with Clopper-Pearson intervals", columns, tuple(lines))


def interval(count: int, of: int) -> str:
    """The Clopper-Pearson interval of a proportion, in percent."""
    if of == 0:
        return ""
    tail = (1 - LEVEL) / 2
    low = beta.ppf(tail, count, of - count + 1) if count else 0.0
    high = beta.ppf(1 - tail, count + 1, of - count) if count < of else 1.0
    return f"{100 * low:.1f}-{100 * high:.1f} %"
