"""What was written for a tracker is read back, with the tracker's own reader or format."""

from __future__ import annotations

import gc
import json
import struct
import warnings
from pathlib import Path
from typing import Any

import pytest

from fake_rounds import PURE, TEACHER, Bench
from stillhouse.errors import ConfigError
from stillhouse.exchange.trackers import Tracked, scalars, tracker
from stillhouse.exchange.trackers.replay import Replay
from stillhouse.runs.records import Epoch

EPOCHS: list[Epoch] = [
    {
        "epoch": number,
        "lr": 0.1 / number,
        "train": {"ce": 2.0 / number, "kd": 0.5},
        "test": {"accuracy": 10.0 * number},
        "time": {"seconds": 3.0, "ended": 1_700_000_000.0 + number},
    }
    for number in (1, 2, 3)
]
RUN = Tracked("Cifar10/logit/A_to_B/0", "tiny", {"method": "logit", "seed": 0}, EPOCHS)
BLOCK, HEADER, FILE_HEADER = 32768, 7, 7

# Early versions of wandb leave the socket of their service to the garbage collector, which the
# test calls itself: the error would be that of any later test.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def wandb_records(file: Path) -> list[Any]:
    """The records of an offline run: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, part, found = file.read_bytes(), FILE_HEADER, b"", []
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if kind == 0:
            break
        part += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # a full record, or the last part of one
            record = Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def test_every_number_of_an_epoch_has_its_place_in_the_record() -> None:
    assert scalars(EPOCHS[1]) == {
        "lr": 0.05, "train/ce": 1.0, "train/kd": 0.5, "test/accuracy": 20.0,
        "time/seconds": 3.0, "time/ended": 1_700_000_002.0,
    }  # fmt: skip


def test_tensorboard_reads_every_value_at_its_time(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    tracker("tensorboard")(RUN, tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    found = events.Scalars("test/accuracy")
    assert [(one.step, one.value) for one in found] == [(1, 10.0), (2, 20.0), (3, 30.0)]
    assert [one.wall_time for one in found] == [1_700_000_000.0 + n for n in (1, 2, 3)]
    assert set(events.Tags()["scalars"]) == set(scalars(EPOCHS[0]))


def test_wandb_reads_every_value_without_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "")
    tracker("wandb")(RUN, tmp_path / "run")
    gc.collect()
    (file,) = (tmp_path / "run").rglob("*.wandb")
    records = wandb_records(file)
    rows = [
        {
            (item.key or "/".join(item.nested_key)): json.loads(item.value_json)
            for item in r.history.item
        }
        for r in records
        if r.WhichOneof("record_type") == "history"
    ]
    assert [row["test/accuracy"] for row in rows] == [10.0, 20.0, 30.0]
    (begun,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    assert (begun.project, begun.display_name) == ("stillhouse-tiny", RUN.path)


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, f"stillhouse.exchange.trackers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, {"tensorboard": "tensorboardX", "wandb": "wandb"}[name], None)
    with pytest.raises(ConfigError) as found:
        tracker(name)
    assert f"stillhouse[{name}]" in str(found.value.hint)


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown tracker 'tensorbord'"):
        tracker("tensorbord")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which runs were written, with how many epochs; each leaves a file."""
    calls: list[tuple[str, int]] = []

    def write(run: Tracked, folder: Path) -> None:
        folder.mkdir()
        (folder / "epochs").write_text(str(len(run.epochs)))
        calls.append((run.path, len(run.epochs)))

    monkeypatch.setattr("stillhouse.exchange.trackers.replay.tracker", lambda name: write)
    return calls


def test_a_run_is_written_when_it_has_more_epochs(
    bench: Bench, tmp_path: Path, written: list[tuple[str, int]]
) -> None:
    replay = Replay("any", tmp_path / "out", print)
    replay.update(bench.look())
    assert written == []
    bench.finish(f"{TEACHER}/0", 90.0)
    replay.update(bench.look())
    replay.update(bench.look())
    bench.finish(f"{PURE}/0", 80.0)
    replay.update(bench.look())
    assert [path for path, _ in written] == [f"{TEACHER}/0", f"{PURE}/0"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["Digits.pure.ResNet20.0", "Digits.pure.ResNetBaby.0"]


def test_a_tracker_that_fails_is_reported_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: Tracked, folder: Path) -> None:
        raise RuntimeError("no service")

    monkeypatch.setattr("stillhouse.exchange.trackers.replay.tracker", lambda name: fails)
    bench.finish_all(90.0 for _ in bench.runs)
    log: list[str] = []
    replay = Replay("any", tmp_path / "out", log.append)
    replay.update(bench.look())
    replay.update(bench.look())
    assert log == ["any failed and gets nothing more: no service"]
    assert list((tmp_path / "out").iterdir()) == []
