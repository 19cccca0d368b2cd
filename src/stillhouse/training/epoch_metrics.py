"""Running sums over the steps of an epoch; saved in the checkpoint for resuming."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stillhouse.data.base import Batch


@dataclass
class EpochMetrics:
    """The sums since the start of the epoch.

    `origin` is the network's parameters at that start, as one vector; `balance` the gradient norms
    of its first step, `seconds` the time spent on this network alone, `loading` and `teacher` those
    of its batches and of its teacher's passes, which all runs of a cohort share, `hashes` those of
    the weights after some numbers of steps.
    """

    origin: Tensor
    names: tuple[str, ...] = ()
    sums: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    seen: int = 0
    skipped: int = 0
    seconds: float = 0.0
    loading: float = 0.0
    teacher: float = 0.0
    balance: dict[str, float] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    def add(self, names: Iterable[str], weighted: Tensor, images: int) -> None:
        """Add one step's values times its images (see `weigh`), of `images` images."""
        if self.names:
            self.sums += weighted
        else:
            self.names, self.sums = tuple(names), weighted.clone()
        self.seen += images

    def means(self) -> dict[str, float]:
        """Return the mean of each value over the images so far."""
        sums = self.sums.tolist()
        return {name: value / self.seen for name, value in zip(self.names, sums, strict=True)}

    def update_ratio(self, parameters: Tensor) -> float:
        """Return the norm of the parameters' change, relative to their norm at the start."""
        return float((parameters - self.origin).norm() / self.origin.norm())

    def state(self) -> dict[str, Any]:
        """Return the state as tensors and plain values."""
        fields = vars(self).copy()
        names = fields.pop("names")
        return fields | {"sums": dict(zip(names, self.sums.clone().unbind(), strict=True))}

    @classmethod
    def load(cls, state: dict[str, Any], device: torch.device) -> EpochMetrics:
        """Load a `state` on a device."""
        sums = state["sums"]
        fields = {**state, "origin": state["origin"].to(device)}
        if sums:
            fields |= {"names": tuple(sums), "sums": torch.stack([*sums.values()]).to(device)}
        else:
            del fields["sums"]
        return cls(**fields)


def weigh(values: Iterable[Tensor], images: int) -> Tensor:
    """Return one step's means over `images` images, times their number, as a float64 vector."""
    return torch.stack([value.detach().double() for value in values]) * images


def hits(predicted: Tensor, batch: Batch) -> Tensor:
    """Return how right each prediction is, 0 to 1, (batch,) float64.

    For an image mixed of two it is the share of the one whose class is predicted.
    """
    right = (predicted == batch.labels).double()
    if batch.shares is None or batch.partners is None:
        return right
    other = (predicted == batch.partners).double()
    return batch.shares * right + (1 - batch.shares) * other


class StepClock:
    """Measure seconds between entering and leaving, on the device that does the work.

    On a GPU the host runs far ahead, so the device records the times; `read` waits for it.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.seconds = 0.0
        self.marks: list[torch.cuda.Event] = []

    def __enter__(self) -> None:
        self._mark(-1.0)

    def __exit__(self, *_: object) -> None:
        self._mark(1.0)

    def read(self) -> float:
        """Return the seconds since the last reading."""
        if self.marks:
            self.marks[-1].synchronize()
        pairs = zip(self.marks[::2], self.marks[1::2], strict=True)
        seconds = self.seconds + sum(start.elapsed_time(end) for start, end in pairs) / 1000
        self.seconds = 0.0
        self.marks.clear()
        return float(seconds)

    def _mark(self, sign: float) -> None:
        if not self.cuda:
            self.seconds += sign * time.perf_counter()
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self.marks.append(event)
