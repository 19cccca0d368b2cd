"""The memory that a cohort takes on a GPU, predicted on the CPU before it is trained there."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from stillhouse import data
from stillhouse.config.facts import facts
from stillhouse.config.identity import identity
from stillhouse.config.schema import RunConfig
from stillhouse.errors import reason_of
from stillhouse.training.graphs import graphed
from stillhouse.training.timing import FIRST, untrained

BLOCK = 512  # bytes; PyTorch's allocator gives whole blocks
FEW = 8  # images; a step's tensors grow with the images of its batch
# What a recorded graph takes beside its tensors, or all eager steps together: workspaces of cuDNN
# and cuBLAS. 306 to 320 MiB for each of the eight graphs of a cohort on an H200 (docs/gpu.md).
WORKSPACES = 320 * 2**20
USED = 0.9  # of a GPU at most: the rest is for CUDA itself, and for what a prediction is short of


class Need(NamedTuple):
    """Bytes on a device: what a run keeps, what its step adds, what its teacher's pass adds."""

    state: int
    step: int
    teacher: int


class Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are made while it is entered: `now`, and at `most`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it made."""
        made = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, made)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._seen:
            self._seen.add(storage)
            size = BLOCK * ceil(storage.nbytes() / BLOCK)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.now -= size

    def adds(self, act: Callable[[], object]) -> tuple[int, Any]:
        """Return the most bytes that `act` needs beyond those of before, and its result."""
        before = self.most = self.now
        result = act()
        return self.most - before, result


def need(run: RunConfig) -> Need:
    """Return what a resolved run needs on a device, kept per machine and version once computed."""
    alike = run.model_copy(update={"seed": 0, "axes": {}})
    return Need(*facts().get(f"gpu memory {identity(alike)}", lambda: _need(alike)))


def _need(run: RunConfig) -> Need:
    """Extrapolate to the run's batch from two small ones."""
    once, twice = _measured(run, FEW), _measured(run, 2 * FEW)
    more = run.training.batch_size / FEW - 1
    step, teacher = (round(a + (b - a) * more) for a, b in zip(once[1:], twice[1:], strict=True))
    return Need(once.state, step, teacher)


def _measured(run: RunConfig, images: int) -> Need:
    """Return what a step on so many images takes, on the CPU."""
    with Allocated() as memory:
        trainer, shared, batch = untrained(run, torch.device("cpu"), images)
        taught, teacher = None, 0
        if trainer.needs_teacher:
            teacher, taught = memory.adds(lambda: shared.inputs.teach(batch))
        trainer.position = (0, FIRST)
        trainer.step(batch, taught)  # the first one makes gradients and the optimizer's state
        state = memory.now
        trainer.position = (0, FIRST)
        step, _ = memory.adds(lambda: trainer.step(batch, taught))
        return Need(state, step, teacher)


def together(runs: Sequence[RunConfig], graphs: bool) -> int:
    """Return the bytes that resolved runs of one cohort need on a device, dataset included.

    Recorded steps hold their memory all the time, eager ones take turns.
    """
    needs = [need(run) for run in runs]
    kept = _image_bytes(runs[0]) + sum(one.state for one in needs)
    teacher = max(one.teacher for one in needs)
    if not graphs:
        return kept + teacher + max(one.step for one in needs) + WORKSPACES
    recorded = len(needs) + bool(teacher)
    return kept + teacher + sum(one.step for one in needs) + WORKSPACES * recorded


def _image_bytes(run: RunConfig) -> int:
    """Return the bytes of the pixels of a run's dataset."""
    spec = data.spec(run.dataset, run.files)
    return (spec.train_images + spec.test_images) * spec.channels * spec.size**2


def room(device: torch.device, share: int) -> int:
    """Return the bytes that one of `share` workers may use of a GPU."""
    free, total = torch.cuda.mem_get_info(device)
    return int(USED * min(free, total / share))


def fitting(
    runs: list[RunConfig], device: torch.device, share: int, say: Callable[[str], None]
) -> list[list[RunConfig]]:
    """Divide the resolved runs of a cohort into as few parts as fit into a GPU one after another.

    `share` workers use the GPU. `say` is called with what is decided, and where the memory cannot
    be predicted: then the runs stay together, and training shows whether they fit.
    """
    if device.type != "cuda" or len(runs) == 1:
        return [runs]
    graphs, allowed = graphed(runs[0].training, device), room(device, share)
    try:
        whole = together(runs, graphs)
        for count in range(1, len(runs) + 1):
            parts = [runs[i::count] for i in range(count)]
            if all(together(part, graphs) <= allowed for part in parts):
                break
    except Exception as error:  # noqa: BLE001 - a method is foreign code; training names its fault
        say(f"the GPU memory of {len(runs)} runs is not predicted: {reason_of(error)}")
        return [runs]
    if count > 1:
        say(
            f"{len(runs)} runs together need about {whole / 2**30:.1f} GiB of the GPU's memory and "
            f"may use {allowed / 2**30:.1f}: trained in {count} parts, one after another"
        )
    return parts
