"""NST and RKD's angles against their textbook broadcast forms: time and peak memory, on a CPU.

`python benchmarks/methods.py` prints both, for one value and gradient each, at batch 128 with
256 channels (NST: 8 x 8 pixels; RKD: 256 dimensions), and the ratios. Needs Linux.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stillhouse.methods.nst import selectivity_loss
from stillhouse.methods.rkd import angle_loss

BATCH, CHANNELS, SIZE = 128, 256, 8
REPEATS = 3


def textbook_selectivity(student: Tensor, teacher: Tensor) -> Tensor:
    """MMD^2 by products of all pairs of channels: (batch, channels, channels, pixels)."""
    s, t = (F.normalize(x.flatten(2), dim=2) for x in (student, teacher))

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a[:, None] * b[:, :, None]).sum(dim=-1).square().mean()

    with torch.no_grad():
        constant = mean_kernel(t, t)
    return constant + mean_kernel(s, s) - 2 * mean_kernel(s, t)


def textbook_angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosines by normalised differences of all pairs: (batch, batch, dimensions)."""

    def cosines(x: Tensor) -> Tensor:
        unit = F.normalize(x[None] - x[:, None], dim=2)
        return torch.bmm(unit, unit.transpose(1, 2))

    with torch.no_grad():
        target = cosines(teacher)
    return F.smooth_l1_loss(cosines(student), target)


FORMS: dict[str, dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "nst": {"textbook": textbook_selectivity, "stillhouse": selectivity_loss},
    "rkd angle": {"textbook": textbook_angle, "stillhouse": angle_loss},
}
SHAPES = {"nst": (BATCH, CHANNELS, SIZE, SIZE), "rkd angle": (BATCH, CHANNELS)}


def step(loss: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> float:
    """One value and its gradient; returns the value."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(shape, generator=generator).relu() for _ in range(2))
    value = loss(student.requires_grad_(), teacher)
    torch.autograd.backward(value)
    return value.item()


def peak_kilobytes() -> int:
    """This process's largest resident size since it was last reset."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def measure(method: str, form: str) -> None:
    """Print seconds, megabytes above the inputs, and the value, of one form in this process."""
    torch.set_num_threads(1)
    loss, shape = FORMS[method][form], SHAPES[method]
    step(loss, (4, *(4 for _ in shape[1:])))  # libraries allocate their own memory once
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = peak_kilobytes()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        value = step(loss, shape)
        seconds.append(time.perf_counter() - started)
    sys.stdout.write(f"{min(seconds)} {(peak_kilobytes() - before) / 1024} {value}")


def main() -> None:
    """Measure every form in a process of its own and print the comparison."""
    for method, forms in FORMS.items():
        rows = []
        for form in forms:
            command = [sys.executable, __file__, method, form]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds, megabytes, value = map(float, answer.split())
            rows.append((seconds, megabytes))
            text = f"{seconds * 1000:9.1f} ms {megabytes:9.1f} MB   value {value:.6f}"
            sys.stdout.write(f"{method:10} {form:11}{text}\n")
        (t0, m0), (t1, m1) = rows
        sys.stdout.write(f"{method:10} {'ratio':11}{t0 / t1:9.1f}    {m0 / m1:9.1f}\n")


if __name__ == "__main__":
    measure(*sys.argv[1:]) if len(sys.argv) > 1 else main()
