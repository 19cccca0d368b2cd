"""A round is killed, stopped and suspended over and over; it must end as if nothing had happened.

Two kinds of faults at once: workers die at named points (see faults/sitecustomize.py), and
random processes of the tree get random signals at random moments. Whenever the command ends it is
started again. Rounds are repeated until enough faults have struck; each is compared, bit for
bit, with one that was left alone. The last line is the verdict, the exit status 0 or 1.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from storm.faults.sitecustomize import hits
from storm.outcome import differences, leftovers, look, outcome
from storm.tree import processes, send

HERE = Path(__file__).parent
KINDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
LONGEST_SLEEP = 2.0
STALLED = 12


@dataclass
class Storm:
    """One storm: which faults are wanted, and which have struck."""

    folder: Path
    file: Path
    points: list[str]
    times: int
    signals: int
    gap: float
    dice: random.Random
    sent: Counter[str] = field(default_factory=Counter)
    woken: dict[int, float] = field(default_factory=dict)
    starts: int = 0

    @property
    def missing(self) -> bool:
        """Whether more faults are wanted."""
        struck = hits(self.folder)
        return self.sent.total() < self.signals or any(struck[p] < self.times for p in self.points)

    def round(self, root: Path) -> list[str]:
        """Train a round in the storm; returns what is wrong with it in the end."""
        calm = 0
        while True:
            stormy = self.missing
            code = self.command(root, stormy)
            if code == 0:
                break
            calm = 0 if stormy else calm + 1
            if calm > STALLED:
                states = {c.config.path: (c.state.name, c.state.reason) for c in self.survey(root)}
                return [f"not completed though left alone: {states}"]
        self.settle(root)
        if self.command(root, False) != 0:
            return ["the last command failed"]
        return leftovers(root) + differences(self.expected, outcome(root, self.file))

    def survey(self, root: Path) -> list:  # type: ignore[type-arg]
        return look(root, self.file).cells

    def calm_round(self, root: Path) -> None:
        """Train the round to compare with; it is left alone."""
        if self.command(root, False) != 0:
            raise SystemExit("the undisturbed round did not complete")
        self.expected = outcome(root, self.file)

    def command(self, root: Path, stormy: bool) -> int:
        """`stillhouse run`, with or without faults; its exit status (negative: the signal)."""
        self.starts += 1
        words = ["run", str(self.file), "--root", str(root), "--jobs", "2", "--device", "cpu"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        if stormy:
            environment |= {
                "PYTHONPATH": f"{HERE / 'faults'}:{os.environ.get('PYTHONPATH', '')}",
                "STORM": str(self.folder),
                "STORM_POINTS": json.dumps(self.points),
                "STORM_TIMES": str(self.times),
            }
        with (self.folder / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "stillhouse", *words],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            while process.poll() is None:
                self.wait(root, process, stormy)
                if stormy and self.sent.total() < self.signals:
                    self.strike(root)
        return process.returncode

    def wait(self, root: Path, process: subprocess.Popen[bytes], stormy: bool) -> None:
        """Until the next strike; sleepers are woken on the way."""
        until = time.monotonic() + (self.dice.uniform(0, 2 * self.gap) if stormy else 0.5)
        while time.monotonic() < until and process.poll() is None:
            self.wake()
            time.sleep(0.05)

    def strike(self, root: Path) -> None:
        """A random signal to a random process."""
        living = processes(root)
        if not living:
            return
        pid, kind = self.dice.choice(living), self.dice.choice(KINDS)
        if send(pid, kind):
            self.sent[kind.name] += 1
            if kind == signal.SIGSTOP:
                self.woken[pid] = time.monotonic() + self.dice.uniform(0, LONGEST_SLEEP)

    def wake(self, everyone: bool = False) -> None:
        """Continue those who have slept long enough."""
        for pid, due in list(self.woken.items()):
            if everyone or time.monotonic() >= due:
                send(pid, signal.SIGCONT)
                del self.woken[pid]

    def settle(self, root: Path) -> None:
        """Wait until no process of the round is left."""
        self.wake(everyone=True)
        while processes(root):
            time.sleep(0.1)
