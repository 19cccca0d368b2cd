"""CUDA graphs: the launches of a step recorded once and repeated as one.

A graph reads and writes the addresses it was recorded with. So all members of a cohort read one
batch that stays where it is, and the teacher's outputs beside it.
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

WARM_UP = 3  # what PyTorch's own capture does, so that libraries have allocated and chosen
TIMED = 3
T = TypeVar("T")
Values = tuple[tuple[str, ...], Tensor]
Read = tuple[Batch, Outputs | None, dict[str, float]]


class Graph(Generic[T]):
    """The launches of `run` and its result, which they fill anew.

    Recorded on the current CUDA stream, which must not be the default one. `run` is called some
    times before; `changed`, called after the first, names every tensor that it changes, and these
    are put back.
    """

    def __init__(self, run: Callable[[], T], changed: Callable[[], Sequence[Tensor]]) -> None:
        with put_back(changed()):
            for _ in range(WARM_UP):
                run()
        self.kept = changed()  # their memory must not be given to others while it is written here
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream()):
            self.result = run()
        self.draws: bool | None = None

    def replay(self) -> T:
        """Do it again; the result holds the new values until the next time.

        `draws` tells from the first time on whether it takes random numbers.
        """
        before = torch.cuda.get_rng_state() if self.draws is None else None
        self.graph.replay()
        if before is not None:
            self.draws = not torch.equal(before, torch.cuda.get_rng_state())
        return self.result


class StepGraph(Graph[Values]):
    """A student's step, as long as it reads the same tensors with the same loss weights.

    `seconds` is what it takes with the device to itself: beside others it shares the time.
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
        """Whether a step with these is the one recorded."""
        return batch is self.read[0] and taught is self.read[1] and weights == self.read[2]


class Lane:
    """A CUDA stream of its own: what is given to it runs beside what others give to theirs.

    Entering waits for what the current stream was given before; `join` lets the current stream
    wait for the lane. Each graph is recorded on its own, so that no two share cuBLAS's workspace.
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
        """Let the current stream wait for all that the lane was given."""
        torch.cuda.current_stream().wait_stream(self.stream)


@contextmanager
def put_back(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Give tensors their values again, where they are, after what changes them."""
    saved = [value.clone() for value in tensors]
    yield
    with torch.no_grad():
        for value, old in zip(tensors, saved, strict=True):
            value.copy_(old)


class Inputs:
    """What all members of a cohort read in a step: the batch, and the teacher's outputs for it.

    With `graphs` both stay where they are.
    """

    def __init__(self, teacher: Callable[[Batch], Outputs] | None, graphs: bool) -> None:
        self.teacher, self.graphs = teacher, graphs
        self._batch: Batch | None = None
        self._graph: Graph[Outputs] | None = None

    def batch(self, batch: Batch) -> Batch:
        """The batch to step on."""
        if not self.graphs:
            return batch
        if self._batch is None:
            self._batch = batch
        else:
            self._batch.images.copy_(batch.images)
            self._batch.labels.copy_(batch.labels)
            self._batch.ids.copy_(batch.ids)
        return self._batch

    def teach(self, batch: Batch) -> Outputs | None:
        """The teacher's outputs for a batch that `batch` gave; None without a teacher."""
        if self.teacher is None or not self.graphs:
            return self.teacher(batch) if self.teacher else None
        if self._graph is None:
            teacher, lane = self.teacher, Lane()
            with lane:
                self._graph = Graph(lambda: teacher(batch), list)
            lane.join()
        return self._graph.replay()


def graphed(training: Training, device: torch.device) -> bool:
    """Whether a recipe is trained with CUDA graphs on a device: a CPU has none."""
    return training.cuda_graphs and device.type == "cuda"
