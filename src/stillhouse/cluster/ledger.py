"""The results of past jobs, per run and for the round: one file, under the submit lock."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from stillhouse.cluster.jobs import Ending, Gain, Job, half

DRY_JOBS = 2
LOST_JOBS = 5
SAME_FAILURES = 2
VANISHED_JOBS = 5


@dataclass(frozen=True)
class Past:
    """The past jobs of one run: jobs in a row without a new epoch, and out-of-memory errors.

    `dry` jobs reached their time limit, `lost` ones ended otherwise. `memory` counts jobs that ran
    it alone and ran out of memory; `together` is the most runs to train with it.
    """

    dry: int = 0
    lost: int = 0
    memory: int = 0
    together: int | None = None

    @property
    def stuck(self) -> str:
        """Return why no further job is worthwhile, if so."""
        if self.dry >= DRY_JOBS:
            return f"stuck: {self.dry} jobs reached their time limit without a new epoch"
        if self.dry + self.lost >= LOST_JOBS:
            return f"stuck: {self.dry + self.lost} jobs ended without a new epoch"
        return ""

    def after(self, gain: Gain, runs: int) -> Past:
        """Return it with one more job, which trained `runs` runs."""
        past = self
        if gain.gained or gain.state == "done":
            past = replace(past, dry=0, lost=0)
        elif not gain.out_of_memory:
            dry = gain.out_of_time
            past = replace(past, dry=past.dry + dry, lost=past.lost + (not dry))
        if gain.out_of_memory and runs > 1:
            return replace(past, together=half(runs))
        return replace(past, memory=past.memory + gain.out_of_memory)


NOTHING = Past()


@dataclass
class Ledger:
    """The ledger of a round.

    `folded` are the closed jobs in it, besides all jobs numbered below `below`. `failures` maps a
    signature to the jobs that failed immediately with it. `forgiven` maps a failed run to its
    attempts at the time of `retry`. `vanished` counts the last jobs in a row that never started.
    `held` stops all submission.
    """

    runs: dict[str, Past] = field(default_factory=dict)
    failures: dict[str, list[int]] = field(default_factory=dict)
    forgiven: dict[str, int] = field(default_factory=dict)
    vanished: int = 0
    held: str = ""
    below: int = 1
    folded: set[int] = field(default_factory=set)

    def past(self, path: str) -> Past:
        """Return the record of a run."""
        return self.runs.get(path, NOTHING)

    def contains(self, number: int) -> bool:
        """Return whether a job is closed and folded in."""
        return number < self.below or number in self.folded

    def close(self, job: Job, ending: Ending) -> None:
        """Add a closed job."""
        self.folded.add(job.number)
        while self.below in self.folded:
            self.folded.remove(self.below)
            self.below += 1
        for path, gain in ending.runs.items():
            self.runs[path] = self.past(path).after(gain, len(ending.runs))
        self.vanished = self.vanished + 1 if ending.outcome == "vanished" else 0
        if signature := ending.signature:
            self.failures.setdefault(signature, []).append(job.number)

    @property
    def halt(self) -> str:
        """Return why nothing of the round may be submitted, if so."""
        if self.held:
            return self.held
        for signature, jobs in self.failures.items():
            if len(jobs) >= SAME_FAILURES:
                numbers = ", ".join(map(str, jobs))
                return f"jobs {numbers} failed immediately for the same reason: {signature}"
        if self.vanished >= VANISHED_JOBS:
            return f"{self.vanished} jobs in a row left the queue before they started"
        return ""

    def allow_again(self, attempts: dict[str, int]) -> None:
        """Lift the halt, and let these runs, with these numbers of attempts, be trained again."""
        self.held, self.failures, self.vanished = "", {}, 0
        self.forgiven |= attempts
        for path in attempts:
            self.runs.pop(path, None)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            **asdict(self),
            "runs": {path: asdict(past) for path, past in self.runs.items()},
            "folded": sorted(self.folded),
        }

    @classmethod
    def load(cls, fields: dict[str, Any]) -> Ledger:
        """Read it from JSON values."""
        runs = {path: Past(**past) for path, past in fields["runs"].items()}
        return cls(**{**fields, "runs": runs, "folded": set(fields["folded"])})
