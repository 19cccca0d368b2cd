"""A round beside a packed one: bit-equal, within the seeds' spread, or different."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.errors import RunError
from stillhouse.exchange.archive import Archive, move_in, seal, write_material
from stillhouse.exchange.pack import pack, results_in
from stillhouse.show.rerun import DIFFERENT, EQUAL, OPEN, WITHIN, rerun_table

FIRST = {TEACHER: 95.0, PURE: 80.0, LOGIT: 82.0, RKD: 81.0}
SEEDS = (0, 1, 2)


def trained(root: Path, accuracies: dict[str, float], same: str) -> Bench:
    """A round whose runs have these accuracies; those of arm `same` have the first's weights."""
    bench = Bench(root, seeds=list(SEEDS))
    bench.workspace.activate(bench.round, bench.file)
    for path, accuracy in accuracies.items():
        for seed in SEEDS:
            bench.finish(f"{path}/{seed}", accuracy + 0.5 * seed)
            if path != same:
                other = {"final": f"{seed:064d}", "best": f"{seed:064d}"}
                edit(
                    bench.folder(f"{path}/{seed}").result,
                    lambda one, w=other: one.update(weights=w),
                )
    return bench


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    bench = trained(tmp_path / "first", FIRST, same="")
    for path in FIRST:
        for seed in SEEDS:
            weights = {"final": "f" * 63 + str(seed), "best": "f" * 64}
            edit(
                bench.folder(f"{path}/{seed}").result, lambda one, w=weights: one.update(weights=w)
            )
    archive = Archive(bench.workspace, "tiny")
    write_material(archive, bench.file, ())
    move_in(archive)
    seal(archive)
    pack(archive, tmp_path / "tiny.tar.zst")
    return tmp_path / "tiny.tar.zst"


def judged(packed: Path, bench: Bench) -> dict[str, str]:
    table, _ = rerun_table(results_in(packed), bench.look(), "tiny.tar.zst")
    return {str(row[1]): str(row[-1]) for row in table.rows}


def test_every_arm_is_judged_by_its_weights_and_then_by_its_spread(
    packed: Path, tmp_path: Path
) -> None:
    bench = trained(tmp_path / "second", {**FIRST, LOGIT: 82.2, RKD: 61.0}, same="")
    for seed in SEEDS:
        weights = {"final": "f" * 63 + str(seed), "best": "0" * 64}
        edit(bench.folder(f"{PURE}/{seed}").result, lambda one, w=weights: one.update(weights=w))
    one = {"final": "f" * 63 + "0", "best": "0" * 64}
    edit(bench.folder(f"{LOGIT}/0").result, lambda result: result.update(weights=one))
    found = judged(packed, bench)
    assert found["Student pure (ResNetBaby)"] == EQUAL
    assert found["Logit KD"] == WITHIN
    assert found["RKD"] == DIFFERENT
    _, same = rerun_table(results_in(packed), bench.look(), "x")
    assert not same


def test_fewer_than_three_seeds_are_not_judged(packed: Path, tmp_path: Path) -> None:
    bench = trained(tmp_path / "second", {**FIRST, RKD: 61.0}, same="")
    bench.folder(f"{RKD}/2").result.unlink()
    assert judged(packed, bench)["RKD"] == OPEN


def test_a_pack_is_read_unopened(packed: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert set(results_in(packed)) == {f"{path}/{seed}" for path in FIRST for seed in SEEDS}
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar.zst").write_bytes(b"no pack")
    with pytest.raises(RunError, match="damaged"):
        results_in(tmp_path / "x.tar.zst")


def test_arms_of_several_teachers_are_judged_apart(tmp_path: Path) -> None:
    teachers, found = ["ResNet20", "ResNet56"], []
    for name, gain in (("first", 0.0), ("second", 20.0)):
        bench = Bench(tmp_path / name, seeds=list(SEEDS), teachers=teachers, methods=["logit"])
        for path, run in bench.runs.items():
            other = bool(run.teacher and run.teacher.model == "ResNet56")
            bench.finish(path, 70.0 + run.seed + gain * other)
            if other:
                weights = {"final": f"{int(gain):064d}", "best": "0" * 64}
                edit(bench.folder(path).result, lambda one, w=weights: one.update(weights=w))
        found.append(bench)
    packed = {path: found[0].folder(path).completed() for path in found[0].runs}
    table, same = rerun_table({k: v for k, v in packed.items() if v}, found[1].look(), "first")
    judged = {str(row[1]): str(row[-1]) for row in table.rows}
    assert judged["Logit KD from ResNet20"] == EQUAL
    assert judged["Logit KD from ResNet56"] == DIFFERENT
    assert not same
