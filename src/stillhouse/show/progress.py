"""What a person sees while a round trains: one line per epoch; on a terminal also what runs now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stillhouse.errors import RunError, printable_lines
from stillhouse.rounds.survey import Cell, Survey, steps_per_epoch
from stillhouse.show.pace import Pace, about

if TYPE_CHECKING:
    from stillhouse.runs.records import Status

QUIET_SECONDS, SUMMARY_SECONDS = 60.0, 10.0
OTHER_LINES = 5
BAR, ROUND_BAR = 14, 40

SHARE_SECONDS = 10.0


class ShareProgress:
    """Logs at most every `SHARE_SECONDS` which share of the work is done and how long it takes.

    Nothing is logged twice: a share that grows by less than a percent says nothing new.
    """

    def __init__(
        self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.log, self.clock = log, clock
        self._started = self._logged = clock()
        self._share = 0

    def __call__(self, what: str, done: float, total: float) -> None:
        """Take note of work done, in any unit."""
        now = self.clock()
        share = int(100 * done / total) if 0 < done <= total else 0
        if now - self._logged < SHARE_SECONDS or share == self._share:
            return
        self._logged, self._share = now, share
        left = timedelta(seconds=ceil((now - self._started) / done * (total - done)))
        self.log(f"{what}: {share} % of all, about {left} left")


class Progress:
    """Follows the runs' own records, so it shows what is on disk and nothing else.

    `work` is what each run (by path) costs as a whole, in any unit; the time left follows from it,
    and is the `expected` seconds of the whole until a pace is known.
    """

    def __init__(
        self,
        console: Console,
        work: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        expected: float | None = None,
    ) -> None:
        self.console, self.work, self.clock = console, work or {}, clock
        self.expected = expected
        self.pace = Pace(0.0)
        self._last, self._busy = clock(), 0.0
        self._moving: set[tuple[str, int]] = set()
        self._epochs: dict[str, int] = {}
        self._trained: dict[str, tuple[float, int]] = {}
        self._done, self._images = 0.0, 0.0
        self._beats: dict[str, tuple[float, float]] = {}
        self._rates: dict[str, float] = {}
        self._finished: set[str] = set()
        self._earlier: set[tuple[str, int]] = set()
        self._reported: set[tuple[str, int]] = set()
        self._looked = self._summed = float("-inf")
        self._names: dict[str, str] = {}
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a message, above what is shown live."""
        wrap = self._live is None
        self.console.print(printable_lines(text), markup=False, highlight=False, soft_wrap=wrap)

    def update(self, survey: Survey) -> None:
        """Show what has changed since the last call."""
        first = not self._trained
        if first:
            # Failures of an earlier command were reported by it, and are about to be tried again.
            self._earlier = {_attempt(cell) for cell in survey.cells if cell.state.name == "failed"}
            self._reported = {*self._earlier}
            self._finished = {c.config.path for c in survey.cells if c.state.name == "done"}
        self._names = short_names(survey) if self._live else {}
        said = sum([self._tell(cell) for cell in survey.cells])
        before = bool(self._moving)
        for cell in survey.cells:
            self._count(cell)
        self._pass_time(before or bool(self._moving))
        if self._live:
            self._live.update(self._view(survey), refresh=True)
        else:
            self._log(survey, first, bool(said))

    def _tell(self, cell: Cell) -> bool:
        """Print what has happened to a run; whether there was anything."""
        path, before = cell.config.path, self._epochs.get(cell.config.path)
        name = self._names.get(path, path)
        lines = [] if before is None else [f"{name}: {line}" for line in _epochs(cell, before)]
        self._epochs[path] = _whole(cell)
        if cell.state.name == "done" and path not in self._finished:
            self._finished.add(path)
            lines.append(f"{name}: {_done(cell)}")
        if cell.state.name in ("failed", "unreadable") and _attempt(cell) not in self._reported:
            self._reported.add(_attempt(cell))
            lines.append(f"{path}: {cell.state.name.upper()}: {cell.state.reason}")
        for line in lines:
            self.say(line)
        return bool(lines)

    def _count(self, cell: Cell) -> None:
        """Add what was trained of a run since the last call.

        A run that begins again loses epochs; those that are trained count all the same.
        """
        run, now = cell.config, _trained(cell)
        before, attempt = self._trained.get(run.path, (now, 0))
        resumed = attempt and attempt != cell.state.attempts
        gained = 0.0 if resumed else max(0.0, now - before)
        self._trained[run.path] = (now, cell.state.attempts)
        images = steps_per_epoch(run) * run.training.batch_size
        self._done += gained * self._per_epoch(cell)
        self._images += gained * images
        if gained or "loss" in _status(cell):
            self._moving.add(_attempt(cell))
        if cell.state.name != "running":
            self._moving.discard(_attempt(cell))
        beat = _status(cell).get("heartbeat")
        if beat and _attempt(cell) in self._moving:
            then, counted = self._beats.get(run.path, (beat, now))
            if beat > then and now > counted:
                self._rates[run.path] = (now - counted) * images / (beat - then)
            if beat > then or run.path not in self._beats:
                self._beats[run.path] = (beat, now)

    def _pass_time(self, busy: bool) -> None:
        """Let the pace know of the time since the last call, if runs were trained in it.

        The seconds in which processes start or a part is pretrained tell nothing of the rest.
        """
        now = self.clock()
        if busy:
            self._busy += now - self._last
        self._last = now
        self.pace.add(self._busy, self._done, self._images)

    def _per_epoch(self, cell: Cell) -> float:
        epochs = cell.config.training.epochs
        return self.work.get(cell.config.path, float(epochs)) / epochs

    def _log(self, survey: Survey, first: bool, said: bool) -> None:
        """Without a terminal: how far each run is now and then, and the round."""
        now, shown = self.clock(), [cell for cell in survey.cells if "loss" in _status(cell)]
        if shown and not said and now - self._looked >= QUIET_SECONDS:
            for cell in shown:
                self.say(f"{cell.config.path}: {self._now(cell)}")
            self._looked, said, self._summed = now, True, float("-inf")
        elif said:
            self._looked = now
        if first or (said and now - self._summed >= SUMMARY_SECONDS):
            self._summed = now
            self.say(self._summary(survey))

    def _now(self, cell: Cell) -> str:
        """`epoch 3/200, step 120/391, loss 2.131, training accuracy 31.2 %, 310 images/s`."""
        status = _status(cell)
        rate = self._rates.get(cell.config.path)
        parts = [
            f"epoch {_epoch_now(cell)}",
            f"step {status.get('step', 0)}/{status.get('steps', 0)}",
            f"loss {_plain(status.get('loss'), '.3f')}",
            f"training accuracy {_plain(status.get('accuracy'), '.1f')} %",
        ]
        return ", ".join([*parts, *([] if rate is None else [f"{rate:,.0f} images/s"])])

    def _summary(self, survey: Survey) -> str:
        """`round digits: 3 of 24 runs done, 2 running, 34 %; 2,480 images/s; about 3 min left`."""
        share = f"{_share(survey, self._per_epoch):.0%}".replace("%", " %")
        counts, left = self._counts(survey), self._left(survey)
        return f"round {survey.round.round}: {counts}, {share} trained{left}"

    def _counts(self, survey: Survey) -> str:
        states = [cell.state.name for cell in survey.cells]
        parts = [f"{states.count('done')} of {len(states)} runs done"]
        parts += [f"{n} {name}" for name in ("running", "failed") if (n := states.count(name))]
        return ", ".join(parts)

    def _left(self, survey: Survey) -> str:
        """The pace and the time left, as the end of a sentence."""
        over = {cell.config.path for cell in survey.cells if self._given_up(cell)}
        work = sum(
            (cell.config.training.epochs - _trained(cell)) * self._per_epoch(cell)
            for cell in survey.cells
            if not {cell.config.path, cell.config.teacher_path} & over
        )
        rate = self.pace.images_per_second()
        shown = "" if rate is None else f"; {rate:,.0f} images/s"
        left = self.pace.seconds_left(work)
        return shown + (f"; {about(self.expected if left is None else left)}" if work else "")

    def _given_up(self, cell: Cell) -> bool:
        """Whether a run failed under this command, which does not try it again."""
        failed = cell.state.name in ("failed", "unreadable")
        return failed and _attempt(cell) not in self._earlier

    def _view(self, survey: Survey) -> Group:
        """What is shown live: one row per run that is trained now, then the round."""
        running = [cell for cell in survey.cells if cell.state.name == "running"]
        room = max(1, self.console.height - OTHER_LINES)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for justify in ("right", "left", "right", "right", "right"):
            grid.add_column(no_wrap=True, justify=justify)
        if running:
            head = ("training now", "epoch", "", "loss", "train acc.", "images/s")
            grid.add_row(*(Text(name, style="bold") for name in head))
        for cell in running[:room]:
            grid.add_row(Text(self._names[cell.config.path]), *self._row(cell))
        more = [Text(f"and {len(running) - room} more")] if len(running) > room else []
        bar = Table.grid(padding=(0, 2, 0, 0))
        share = _share(survey, self._per_epoch)
        bar.add_row(
            Text(f"round {survey.round.round}", style="bold"),
            ProgressBar(total=1.0, completed=share, width=min(ROUND_BAR, self.console.width // 3)),
            Text(f"{share:.0%}".replace("%", " %")),
        )
        return Group(grid, *more, bar, Text(self._counts(survey) + self._left(survey)))

    def _row(self, cell: Cell) -> tuple[Text | ProgressBar, ...]:
        status = _status(cell)
        if _attempt(cell) not in self._moving:
            return (Text(""), Text(printable_lines(status.get("doing", "starting"))))
        rate = self._rates.get(cell.config.path)
        step, steps = status.get("step", 0), max(1, status.get("steps", 1))
        bar = Text("testing") if step >= steps else ProgressBar(steps, step, width=BAR)
        return (
            Text(_epoch_now(cell)),
            bar,
            Text(_plain(status.get("loss"), ".3f")),
            Text(_plain(status.get("accuracy"), ".1f", " %")),
            Text(_plain(rate, ",.0f")),
        )


def short_names(survey: Survey) -> dict[str, str]:
    """Each run's path without the parts that all runs share: `logit/0`, `pure/ResNet20/0`."""
    runs = [cell.config for cell in survey.cells]
    several = len({run.dataset for run in runs}) > 1
    pairs = len({run.path.split("/")[-2] for run in runs if run.teacher}) > 1
    found = {}
    for run in runs:
        dataset, *middle, networks, seed = run.path.split("/")
        shown = [networks] if pairs or not run.teacher else []
        found[run.path] = "/".join([*([dataset] if several else []), *middle, *shown, seed])
    return found


def _epochs(cell: Cell, before: int) -> list[str]:
    """What is known of each epoch since the one `before`."""
    epochs, now = cell.config.training.epochs, _whole(cell)
    if now <= before:
        return []
    try:
        records = cell.folder.records()[before:now]
    except RunError as error:
        return [str(error)]
    lines = []
    for record in records:
        loss = record.get("train", {}).get("total")
        shown = "" if loss is None else f"loss {loss:.3f}, "
        score = f"test accuracy {record['test']['accuracy']:.2f} %"
        lines.append(f"epoch {record['epoch']}/{epochs}: {shown}{score}")
    return lines


def _done(cell: Cell) -> str:
    result = cell.state.result
    assert result is not None
    best = result["best"]
    accuracy = f"test accuracy {result['final']['test']['accuracy']:.2f} %"
    return f"done: {accuracy}; best {best['test_accuracy']:.2f} % in epoch {best['epoch']}"


def _trained(cell: Cell) -> float:
    """Epochs that are trained, with the part of the one that is being trained."""
    status, whole = _status(cell), _whole(cell)
    part = status.get("step", 0) / max(1, status.get("steps", 0)) if "steps" in status else 0.0
    return min(float(cell.config.training.epochs), whole + min(part, 1.0))


def _whole(cell: Cell) -> int:
    return cell.config.training.epochs - cell.left


def _status(cell: Cell) -> Status:
    return cell.state.status or {"state": "running"}


def _epoch_now(cell: Cell) -> str:
    epochs = cell.config.training.epochs
    return f"{min(_whole(cell) + 1, epochs)}/{epochs}"


def _share(survey: Survey, per_epoch: Callable[[Cell], float]) -> float:
    """How much of a round's work is done, from 0 to 1."""
    total = sum(cell.config.training.epochs * per_epoch(cell) for cell in survey.cells)
    return sum(_trained(cell) * per_epoch(cell) for cell in survey.cells) / total


def _plain(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


def _attempt(cell: Cell) -> tuple[str, int]:
    return cell.config.path, cell.state.attempts
