"""The memory of a cohort on a GPU, predicted without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from small_runs import Lab
from stillhouse import methods
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.data import spec
from stillhouse.models import build
from stillhouse.training import memory, worker
from stillhouse.training.memory import Allocated, fitting, need, together

SEVEN = ("pure", "logit", "factor_transfer", "attention_transfer", "fitnets", "rkd", "nst")
PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
GPU = torch.device("cuda")
MIB = 2**20


def run(method: str, teacher: str, student: str, precision: str = "fp32") -> RunConfig:
    taught = methods.declared(method).taught_by != "nobody"
    config = RunConfig(
        dataset="Cifar10",
        method=method,
        model=student,
        seed=0,
        teacher=Teacher(model=teacher, seed=0) if taught else None,
        training=Training.model_validate({"batch_size": 128, "precision": precision}),
    )
    return resolve(config)


def measured() -> Iterator[tuple[str, str, str, float]]:
    """The rows of docs/gpu.md: networks, precision, MiB of seven students on an H200.

    The large pair in fp32 takes five seconds, and tells what the others tell.
    """
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        pair = re.fullmatch(r"(ResNet\w+) -> (ResNet\w+)", cells[0])
        if pair and len(cells) == 7 and (pair[1], cells[1]) != ("ResNet112", "fp32"):
            yield pair[1], pair[2], cells[1], float(cells[6].replace(",", ""))


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A GPU of so many MiB, all of them free."""

    def free(mib: float) -> None:
        size = int(mib * MIB)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (size, size))

    return free


def test_tensors_are_counted_while_they_live() -> None:
    with Allocated() as counted:
        kept = torch.zeros(300)  # 1,200 bytes: three blocks
        assert counted.now == 3 * 512
        added, view = counted.adds(lambda: (kept + 1).view(10, 30))
        assert (added, counted.now) == (3 * 512, 6 * 512)
        again, _ = counted.adds(lambda: (kept * 2).sum().item())
        assert (again, counted.now) == (4 * 512, 6 * 512)
        del view
        assert counted.now == 3 * 512


def test_a_step_holds_what_its_backward_pass_needs() -> None:
    network = build("ResNetBaby", spec("Cifar10"))
    images = torch.randn(16, 3, 32, 32)
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, nn.Parameter):
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = network(images).logits.sum()
    expected = sum(saved.values()) * 128 / 16
    assert kept.isfinite()
    assert need(run("pure", "ResNet20", "ResNetBaby")).step == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("teacher", "student", "precision", "mib"), list(measured()))
def test_seven_students_need_what_they_took_on_a_gpu(
    teacher: str, student: str, precision: str, mib: float
) -> None:
    runs = [run(method, teacher, student, precision) for method in SEVEN]
    assert together(runs, graphs=True) / MIB == pytest.approx(mib, rel=0.05)
    assert together(runs, graphs=False) < together(runs, graphs=True) / 3


def test_a_cohort_is_divided_as_far_as_it_must(
    lab: Lab, small_gpu: Callable[[float], None]
) -> None:
    runs = [lab.run(method) for method in ("pure", "logit", "nst", "rkd")]
    needed = [together(part, True) / MIB / memory.USED for part in (runs, runs[::2], runs[:1])]
    said: list[str] = []
    small_gpu(needed[0] * 1.01)
    assert fitting(runs, GPU, 1, said.append) == [runs] and not said
    assert fitting(runs, torch.device("cpu"), 9, said.append) == [runs] and not said
    small_gpu(needed[1] * 1.05)
    assert fitting(runs, GPU, 1, said.append) == [runs[::2], runs[1::2]]
    assert re.fullmatch(
        r"4 runs together need about 1\.\d GiB of the GPU's memory and may use \d\.\d: trained in "
        r"2 parts, one after another",
        said.pop(),
    )
    small_gpu(needed[0] * 2.02)
    assert fitting(runs, GPU, 2, said.append) == [runs] and not said
    assert len(fitting(runs, GPU, 3, said.append)) == 2
    small_gpu(needed[2])
    assert fitting(runs, GPU, 2, said.append) == [[one] for one in runs]


def test_what_cannot_be_predicted_is_tried(
    lab: Lab, small_gpu: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no step on a CPU")

    runs, said = [lab.run("pure"), lab.run("logit")], []
    small_gpu(1)
    monkeypatch.setattr(memory, "untrained", fail)
    monkeypatch.setattr(memory, "facts", lambda: Uncached())
    assert fitting(runs[:1], GPU, 1, said.append) == [runs[:1]] and not said
    assert fitting(runs, GPU, 1, said.append) == [runs]
    assert said == ["the GPU memory of 2 runs is not predicted: ValueError: no step on a CPU"]


class Uncached:
    def get(self, key: str, compute: Callable[[], memory.Need]) -> memory.Need:
        return compute()


def test_a_worker_trains_the_parts_one_after_another(
    lab: Lab, make_lab: Callable[[str], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [lab.run(method) for method in ("pure", "logit", "nst")]
    whole = make_lab("whole")
    whole.train(*runs)
    asked: list[int] = []

    def halves(
        runs: list[RunConfig], device: torch.device, share: int, say: object
    ) -> list[list[RunConfig]]:
        asked.append(share)
        together(runs, graphs=True)  # which changes no bit of what follows
        return [runs[::2], runs[1::2]]

    monkeypatch.setattr(worker, "fitting", halves)
    ignore: Callable[[str], None] = [].append
    assert worker.work(runs, lab.place, None, None, ignore, ignore, share=3) == 0
    assert asked == [3]
    assert [lab.outcome(run) for run in runs] == [whole.outcome(run) for run in runs]
