"""What the runs of a round cost: by recorded epochs, by timed steps, or in passes of pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import median

from stillhouse import data
from stillhouse.config.facts import multiplications, training_images
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import PURE, RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.estimate import EpochCost, Process, Work
from stillhouse.rounds.schedule import cohorts, divide
from stillhouse.rounds.survey import Cell, Survey, own_teacher
from stillhouse.rounds.timings import Timings, kind
from stillhouse.runs.disk import CHECKPOINTS, PARTS, RECORDS, WEIGHTS
from stillhouse.runs.records import Epoch, Timing, own_seconds

KEPT = 2  # checkpoints of a run in training
TRAINING_PASSES = 3  # forward, and backward to the inputs and to the weights
Seen = tuple[RunConfig, Timing, int]
Times = dict[tuple[object, ...], list[Seen]]


def recorded_costs(survey: Survey) -> dict[str, EpochCost]:
    """Return what an epoch of each run (by path) costs, by the epochs that are recorded.

    Those of finished runs of the same kind, else of unfinished ones; a kind without any is left
    out. In older records the teacher's passes are not timed: they are taken from the time of the
    student's steps, in multiplications.
    """
    exact, alike = _by_kind(survey.cells)
    if not exact:
        return {}
    operations = forward_operations(cell.config for cell in survey.cells)
    found: dict[str, EpochCost] = {}
    known: dict[tuple[object, ...], EpochCost] = {}
    for cell in survey.cells:
        run = cell.config
        of, loose = kind(run), kind(run, numbers=False)
        if of not in known and (times := exact.get(of) or alike.get(loose)):
            known[of] = _cost(run, times, operations[run.dataset])
        if of in known:
            found[run.path] = known[of]
    return found


def timed_costs(
    survey: Survey,
    device: str,
    known: Mapping[str, EpochCost],
    timings: Timings,
    log: Callable[[str], None] | None = None,
) -> dict[str, EpochCost]:
    """Return `known`, and the cost of an epoch of every other unfinished run by timed steps.

    With `log`, which is told each of them, a kind that was never timed on this machine is timed
    now. Nothing is timed for an imported round, which was trained on another machine.
    """
    found, keys = dict(known), dict[str, str]()
    for cell in survey.cells:
        if cell.state.name == "done" or cell.path in found or cell.imported:
            continue
        run = cell.config
        arm = cell.path.rpartition("/")[0]  # the path without the seed
        key = keys.get(arm) or keys.setdefault(arm, timings.key(run, device))
        if key not in timings.known and log is not None:
            from stillhouse.training.precision import pick_device
            from stillhouse.training.timing import measure

            log(f"timing {run.label}, {run.model} on {run.dataset}")
            timings.keep(key, measure(resolve(run), pick_device(device)))
        if key in timings.known:
            found[run.path] = timings.cost(run, key)
    return found


def processes(
    survey: Survey,
    costs: Mapping[str, EpochCost],
    jobs: int = 1,
    sizes: Mapping[str, Mapping[str, int]] | None = None,
    together: bool = True,
) -> list[Process]:
    """Return the processes that `run` with `jobs` workers starts for all that is left.

    `sizes` are the bytes of each run on disk, as `predicted` gives them. Without `together` every
    run has a process of its own, as the jobs of a cluster may have.
    """
    left = [cell for cell in survey.cells if cell.state.name != "done"]
    groups = cohorts(left) if together else [[cell] for cell in left]
    of = sizes or {}
    return [
        Process(tuple(_work(cell, costs, of.get(cell.path, {})) for cell in part))
        for part in divide(groups, jobs)
    ]


def _work(cell: Cell, costs: Mapping[str, EpochCost], sizes: Mapping[str, int]) -> Work:
    return Work(
        cell.path,
        cell.left,
        costs.get(cell.path),
        state=sizes.get(CHECKPOINTS, 0) // KEPT,
        disk=sum(sizes.get(what, 0) for what in (WEIGHTS, RECORDS, PARTS)),
        waits_for=own_teacher(cell.config),
    )


def passes(runs: Iterable[RunConfig]) -> dict[str, float]:
    """What each whole run (by path) costs, in runs of the dataset's first pure student.

    Counted: training images times multiplications, three for a training step and one for the
    teacher's pass.
    """
    runs = list(runs)
    operations = forward_operations(runs)
    found: dict[str, float] = {}
    units: dict[str, float] = {}
    taught = {run.dataset: run.model for run in reversed(runs) if run.teacher}
    for run in runs:
        of = operations[run.dataset]
        epochs = run.training.epochs * training_images(run)
        teacher = of[run.teacher.model] if run.teacher else 0
        found[run.path] = epochs * (TRAINING_PASSES * of[run.model] + teacher)
        if run.method == PURE and run.model == taught.get(run.dataset, run.model):
            units.setdefault(run.dataset, found[run.path])
    for run in runs:
        alone = run.training.epochs * training_images(run) * TRAINING_PASSES
        unit = units.get(run.dataset, alone * operations[run.dataset][run.model])
        found[run.path] /= unit
    return found


def forward_operations(runs: Iterable[RunConfig]) -> dict[str, dict[str, int]]:
    """Multiplications of one image's forward pass, by dataset and network, teachers included.

    Those of convolutions and linear layers are counted, which are nearly all there are.
    """
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        of_dataset = found.setdefault(run.dataset, {})
        for name in {run.model, run.teacher.model if run.teacher else run.model} - {*of_dataset}:
            spec = data.spec(run.dataset, run.files)
            of_dataset[name] = multiplications(name, spec, run.files, run.networks)
    return found


def _by_kind(cells: list[Cell]) -> tuple[Times, Times]:
    """Return the recorded times by kind, and by kind without the method's numbers."""
    exact: Times = {}
    unread: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        if cell.state.result is not None:
            _note(exact, cell, cell.state.result["final"])
        elif cell.state.epoch or cell.imported:
            unread.setdefault(kind(cell.config), []).append(cell)
    for of, unfinished in unread.items():
        for cell in [] if of in exact else unfinished:
            for record in _records(cell):
                _note(exact, cell, record)
    alike: Times = {}
    for times in exact.values():
        for run, time, memory in times:
            alike.setdefault(kind(run, numbers=False), []).append((run, time, memory))
    return exact, alike


def _note(times: Times, cell: Cell, record: Epoch) -> None:
    if "time" in record:
        seen = cell.config, record["time"], cell.state.memory
        times.setdefault(kind(cell.config), []).append(seen)


def _cost(run: RunConfig, times: list[Seen], operations: Mapping[str, int]) -> EpochCost:
    own = median(own_seconds(time) for _, time, _ in times)
    loading = median(time.get("loading", 0.0) for _, time, _ in times)
    taught = [time["teacher"] for _, time, _ in times if "teacher" in time]
    teacher = median(taught) if taught else 0.0
    if run.teacher and not taught:
        images, tests = training_images(run), data.spec(run.dataset, run.files).test_images
        forward = own / (TRAINING_PASSES * images + tests) / operations[run.model]
        teacher = forward * operations[run.teacher.model] * images
    memory, runs = max((memory, time.get("runs", 1)) for _, time, memory in times)
    return EpochCost(own, loading, teacher, memory, runs)


def _records(cell: Cell) -> list[Epoch]:
    """Return the epochs of an unfinished run; none where the file is damaged."""
    try:
        return cell.folder.records()
    except RunError:  # `status` and `doctor` name the damaged file
        return []
