"""Computing all measures of a round: cached by content, in several processes, resumed at once.

The cache is `analysis/.cache/`, one file per arm, named by the hash of everything that decides its
rows; removing it costs time and nothing else. A killed command keeps the arms it has finished.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

from stillhouse.errors import RunError
from stillhouse.represent import measures
from stillhouse.represent.compute import Shelf, Tables, Task, compute
from stillhouse.represent.matrix import Network, Unit, units
from stillhouse.runs.files import read_json, write_atomic
from stillhouse.runs.records import dump

FORMAT = 1
FOLDER = ".cache"
WATCH_SECONDS = 1.0
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read at start
Progress = Callable[[str, float, float], None]
"""Called with what was done, the networks done and all networks."""


def tasks(found: dict[str, Network], names: Sequence[str]) -> list[Task]:
    """One task per arm of the networks found, with the measures of these names."""
    return [_task(unit, found, tuple(names)) for unit in units(found)]


def _task(unit: Unit, found: dict[str, Network], names: tuple[str, ...]) -> Task:
    pure = {name: pure for name in unit.members if (pure := found[name].pure)}
    involved = [*unit.members, *unit.others, *pure.values()]
    kinds = ("own_teacher", "pure_teacher", "other_teacher", "pure_other_teacher")
    beside = {
        name: tuple((c.kind, c.other) for c in many if c.kind in kinds)
        for name, many in unit.comparisons.items()
    }
    return Task(
        dataset=found[unit.members[0]].config.dataset,
        unit=unit,
        stores={name: found[name].target.store for name in involved},
        teachers=beside,
        pure=pure,
        measures=names,
    )


def key(task: Task, found: dict[str, Network]) -> str:
    """SHA-256 of all that decides a task's rows: networks, their rows, comparisons, code."""
    facts = {
        "format": FORMAT,
        "code": _code(),
        "measures": task.measures,
        "unit": asdict(task.unit),
        "teachers": task.teachers,
        "pure": task.pure,
        "headers": {name: asdict(found[name].header) for name in task.stores},
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def cached(folder: Path, name: str) -> Tables | None:
    """The rows of a task, if they were computed before and the file is whole."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    try:
        content = read_json(path)
        return Tables(content["measures"], content["pairs"])
    except (RunError, KeyError):  # damaged: it is computed again, and replaced
        return None


def run(
    wanted: Sequence[tuple[str, Task]], folder: Path, jobs: int, progress: Progress
) -> Iterator[tuple[str, Tables]]:
    """Compute tasks given with their keys; yield each, once it is in the cache, in any order.

    Raises RunError if a file of representations is damaged, or a process was ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(task.unit.members) for _, task in wanted)
    done = 0

    def note(task: Task) -> None:
        nonlocal done
        done += len(task.unit.members)
        progress(task.unit.members[-1], done, total)

    if jobs == 1 or len(wanted) < 2:
        for name, task in wanted:
            yield name, _compute(folder, name, task)
            note(task)
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start, (os.getpid(),))
    try:
        with one_thread():
            futures = {
                pool.submit(_compute, folder, name, task): (name, task) for name, task in wanted
            }
        for future in as_completed(futures):
            name, task = futures[future]
            yield name, future.result()
            note(task)
    except BrokenProcessPool as error:
        raise RunError(
            "a process that computed measures was ended, as by a kernel whose memory is full",
            "repeat the command with a smaller --jobs: what is computed stays",
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_shelf = Shelf()


def _compute(folder: Path, name: str, task: Task) -> Tables:
    tables = compute(task, _shelf)
    write_atomic(folder / f"{name}.json", dump(vars(tables)))
    return tables


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the processes that are started inside compute with one thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(parent: int) -> None:
    """Make a process leave interrupts to its parent and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _code() -> str:
    """SHA-256 of the code that computes rows."""
    package = Path(measures.__file__).parent
    digest = sha256()
    for file in [*sorted(package.glob("*.py")), package.parent / "compute.py"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
