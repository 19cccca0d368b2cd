"""CUDA graphs: the kernel launches of a step, recorded once and replayed.

A graph reads and writes the addresses it was recorded with. So all members of a cohort read one
batch at a fixed address, and the teacher's outputs beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from stillhouse.config.schema import Training
from stillhouse.data.base import Batch
from stillhouse.models.base import Outputs

WARM_UP = (
    3  # as in PyTorch's own capture, so that libraries have allocated memory and chosen kernels
)
TIMED = 3
T = TypeVar("T")
Values = tuple[tuple[str, ...], Tensor]
Read = tuple[Batch, Outputs | None, dict[str, float]]


class Graph(Generic[T]):
    """The kernel launches of `run` and its result, which each replay overwrites.

    They are recorded on the current CUDA stream, which must not be the default one. `run` is called
    some times before; `changed`, called after the first call, names every tensor that it changes,
    and these are restored.
    """

    def __init__(self, run: Callable[[], T], changed: Callable[[], Sequence[Tensor]]) -> None:
        with put_back(changed()):
            for _ in range(WARM_UP):
                run()
        self.kept = changed()  # keep their memory reserved while it is written here
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream()):
            self.result = run()
        self.draws: bool | None = None

    def replay(self) -> T:
        """Replay; the result holds the new values until the next replay.

        `draws` states from the first replay on whether it uses random numbers.
        """
        before = torch.cuda.get_rng_state() if self.draws is None else None
        self.graph.replay()
        if before is not None:
            self.draws = not torch.equal(before, torch.cuda.get_rng_state())
        return self.result


class StepGraph(Graph[Values]):
    """A student's recorded step, valid for the same tensors and loss weights.

    `seconds` is its time alone on the device; beside other steps it shares the time.
    """

    def __init__(
        self, run: Callable[[], Values], changed: Callable[[], Sequence[Tensor]], read: Read
    ) -> None:
        super().__init__(run, changed)
        self.read = read
        torch.cuda.synchronize()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        with put_back(changed()):
            start.record()
            for _ in range(TIMED):
                self.graph.replay()
            end.record()
        end.synchronize()
        self.seconds = start.elapsed_time(end) / 1000 / TIMED

    def fits(self, batch: Batch, taught: Outputs | None, weights: dict[str, float]) -> bool:
        """Return whether these are the recorded tensors and weights."""
        return batch is self.read[0] and taught is self.read[1] and weights == self.read[2]


class Lane:
    """A separate CUDA stream, which runs concurrently with others.

    Entering waits for the earlier work of the current stream; `join` lets the current stream wait
    for the lane. Each graph is recorded separately, so no two share cuBLAS's workspace.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __enter__(self) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        self._context = torch.cuda.stream(self.stream)
        self._context.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *raised: Any) -> None:
        self._context.__exit__(*raised)

    def join(self) -> None:
        """Let the current stream wait for all work of the lane."""
        torch.cuda.current_stream().wait_stream(self.stream)


@contextmanager
def put_back(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Restore the values of tensors, in place, after a change."""
    saved = [value.clone() for value in tensors]
    yield
    with torch.no_grad():
        for value, old in zip(tensors, saved, strict=True):
            value.copy_(old)


class Inputs:
    """The shared inputs of a step for all members of a cohort: the batch and the teacher's outputs.

    With `graphs` both stay at their addresses.
    """

    def __init__(self, teacher: Callable[[Batch], Outputs] | None, graphs: bool) -> None:
        self.teacher, self.graphs = teacher, graphs
        self._batch: Batch | None = None
        self._graph: Graph[Outputs] | None = None

    def batch(self, batch: Batch) -> Batch:
        """Return the batch of the step."""
        if not self.graphs:
            return batch
        if self._batch is None:
            self._batch = batch
        else:
            for kept, new in zip(self._batch.tensors(), batch.tensors(), strict=True):
                kept.copy_(new)
        return self._batch

    def teach(self, batch: Batch) -> Outputs | None:
        """Return the teacher's outputs for a batch from `batch`; None without a teacher."""
        if self.teacher is None or not self.graphs:
            return self.teacher(batch) if self.teacher else None
        if self._graph is None:
            teacher, lane = self.teacher, Lane()
            with lane:
                self._graph = Graph(lambda: teacher(batch), list)
            lane.join()
        return self._graph.replay()


def graphed(training: Training, device: torch.device) -> bool:
    """Return whether a recipe uses CUDA graphs on a device; a CPU has none."""
    return training.cuda_graphs and device.type == "cuda"
