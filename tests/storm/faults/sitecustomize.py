"""Faults in stillhouse's worker processes, injected from outside: the program knows nothing of it.

Python imports this module at its start when this folder is on PYTHONPATH. A worker of a round in
a storm (`STORM` names the storm's folder) kills itself by SIGKILL at the first point that has not
been hit often enough; `hits.jsonl` there, to which every process appends, keeps count.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import io
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRITES = {
    (".checkpoint.pt@", "wb"): "inside a checkpoint's write",
    ("metrics.jsonl", "ab"): "inside a metric append",
    (".result.json@", "wb"): "inside result.json's write",
    (".claim.json@", "wb"): "claiming: inside claim.json's write",
}
EVENTS = {
    ("os.mkdir", ".0"): "claiming: before the folder is made",
    ("os.rename", ".0"): "claiming: before the folder gets its number",
    ("open", ".status.json@"): "claimed, before a status is written",
    ("os.rename", ".checkpoint.pt@"): "between a checkpoint's write and its rename",
    ("os.link", ".result.json@"): "between result.json's write and its appearance",
    ("os.rename", "metrics.jsonl"): "after result.json, before the files move up",
}
# Of `archive`, whose one process does everything in order; an empty name fits every file.
ARCHIVING = {
    ("os.rename", ".representations.safetensors@"): "extracting: before a file appears",
    ("os.rename", ".pairs.csv@"): "analyzing: before a table appears",
    ("open", "storm-Digits-forest.png"): "analyzing: before a picture is written",
    ("os.rename", ".round.yaml@"): "archiving: before round.yaml appears",
    ("os.rename", ".archive.json@"): "archiving: before archive.json appears",
    ("os.rename", "experiments"): "archiving: before experiments/ moves",
    ("os.mkdir", "experiments"): "archiving: before the blank experiments/",
    ("os.rename", ".report.html@"): "archiving: before the report appears",
    ("os.rename", ".manifest-sha256.txt@"): "archiving: before the manifest appears",
    ("os.remove", "manifest-sha256.txt"): "restoring: before the manifest goes",
    ("os.rmdir", "experiments"): "restoring: before the blank folder goes",
}
COPYING = {  # only where the archive is on another file system
    ("shutil.copyfile", ""): "copying: between two files",
    ("os.rename", ".experiments.partial"): "copying: before the copy gets its name",
    ("shutil.rmtree", "experiments"): "copying: before the source is deleted",
    ("os.remove", "result.json"): "copying: while the source is deleted",
}
READS = {"final.safetensors": "at the teacher hand-over"}
PRETRAINING = "during paraphraser pretraining"
POINTS = (*WRITES.values(), *EVENTS.values(), *READS.values(), PRETRAINING)
AT_ONCE = (*READS.values(), *ARCHIVING.values(), *COPYING.values())
MOST_SKIPPED = {PRETRAINING: 8, **dict.fromkeys(AT_ONCE, 0)}
HEARD = {event for event, _ in (*EVENTS, *ARCHIVING, *COPYING)} | {"open"}


def hits(folder: Path) -> Counter[str]:
    """How often each point has been hit in a storm."""
    file = folder / "hits.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter(json.loads(line)["point"] for line in lines)


class Faults:
    """The points at which this process is to die, each after some passages."""

    def __init__(self, folder: Path, points: list[str], times: int) -> None:
        self.folder = folder
        before = hits(folder)
        dice = random.Random(os.getpid())
        self.left = {
            point: dice.randint(0, MOST_SKIPPED.get(point, 3))
            for point in points
            if before[point] < times
        }

    def due(self, point: str | None) -> bool:
        """Count a passage; whether this is the one."""
        if point is None or point not in self.left:
            return False
        self.left[point] -= 1
        return self.left[point] < 0

    def strike(self, point: str) -> None:
        """Note the hit and die as by `kill -9`."""
        line = json.dumps({"point": point, "pid": os.getpid()}) + "\n"
        file = os.open(self.folder / "hits.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: what is about to happen to which file."""
        if event not in HEARD or not isinstance(arguments[0], str | os.PathLike):
            return
        name = Path(arguments[0]).name
        events = {**ARCHIVING, **COPYING} if "archive" in sys.orig_argv else EVENTS
        point = next((p for (e, n), p in events.items() if e == event and name.startswith(n)), None)
        if event == "open" and str(arguments[1]).startswith("r"):
            point = READS.get(name)
        if self.due(point):
            self.strike(str(point))


def tear_writes(faults: Faults) -> None:
    """Let half of a file's content reach the disk before the process dies."""
    plain = io.open

    def tearing(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened = plain(file, mode, *arguments, **options)
        name = Path(file).name if isinstance(file, str | Path) else ""
        point = next((p for (n, m), p in WRITES.items() if m == mode and name.startswith(n)), None)
        return Torn(opened, faults, str(point)) if faults.due(point) else opened

    io.open = tearing  # what pathlib calls


class Torn:
    """A file that takes half of what is written to it."""

    def __init__(self, file: Any, faults: Faults, point: str) -> None:
        self.file, self.faults, self.point = file, faults, point

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *exception: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        """Half of it, and the end."""
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.faults.strike(self.point)


class Pretraining(importlib.abc.MetaPathFinder):
    """Wraps the steps of a pretraining once its module is loaded, for no file shows them."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The module's own spec, with a loader that wraps."""
        if name != "stillhouse.training.pretrain":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        load, faults = spec.loader.exec_module, self.faults

        def loaded(module: Any) -> None:
            load(module)
            plain = module._steps

            def steps(*arguments: Any) -> Iterator[Any]:
                for batch in plain(*arguments):
                    if faults.due(PRETRAINING):
                        faults.strike(PRETRAINING)
                    yield batch

            module._steps = steps

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Arm this process if it is a worker, or archives, in a storm."""
    if "STORM" not in os.environ or not {"train", "archive"} & {*sys.orig_argv}:
        return
    wanted = json.loads(os.environ["STORM_POINTS"])
    faults = Faults(Path(os.environ["STORM"]), wanted, int(os.environ["STORM_TIMES"]))
    if faults.left:
        sys.addaudithook(faults.listen)
        tear_writes(faults)
        sys.meta_path.insert(0, Pretraining(faults))


install()
