"""Detect training that fails, when it happens, with a name and evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.errors import TrainingError
from stillhouse.runs.chance import patience

STUCK_STEPS = 50
STILL = 1e-12  # relative to the weights' norm: below it only zero parameters moved
HINT = "look at metrics.jsonl; with --keep-going it is trained further"


def check_terms(terms: dict[str, Tensor], epoch: int, step: int) -> None:
    """Raise TrainingError naming the first non-finite term (one synchronisation)."""
    finite = torch.isfinite(torch.stack([value.detach() for value in terms.values()])).tolist()
    for name, good in zip(terms, finite, strict=True):
        if not good:
            raise bad_term(name, epoch, step)


def bad_term(name: str, epoch: int, step: int) -> TrainingError:
    """Return the error for a non-finite loss term."""
    return TrainingError(
        f"the loss term '{name}' is not finite at epoch {epoch} step {step}", code="divergence"
    )


def bad_gradient(name: str | None, epoch: int, step: int, skipped: int = 0) -> TrainingError:
    """Return the error for a parameter's gradient, after `skipped` steps without an update.

    `name` is None where every gradient is finite and their squares' sum is not.
    """
    what = f"the gradient of {name} is" if name else "each gradient is finite, but their norm is"
    if not skipped:
        return TrainingError(f"{what} not finite at epoch {epoch} step {step}", code="divergence")
    return TrainingError(
        f"the gradient scaler skipped {skipped} steps in a row up to epoch {epoch} "
        f"step {step}: {what} not finite",
        code="optimizer-never-stepped",
    )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the Euclidean norm of all gradients, on their device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def first_bad_gradient(named: Iterable[tuple[str, nn.Parameter]]) -> str | None:
    """Return the first parameter with a non-finite gradient."""
    for name, parameter in named:
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return name
    return None


def check_measured(measured: Mapping[str, float], images: str, epoch: int) -> None:
    """Raise TrainingError naming the first non-finite value that was measured on some images."""
    for name, value in measured.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"'{name}' on the {images} images is not finite after epoch {epoch + 1}: in eval "
                "mode the network's outputs overflow",
                code="divergence",
            )


def check_progress(
    judged: Sequence[dict[str, Any]], epochs: int, steps: int, chance: float
) -> None:
    """Raise TrainingError if the newest epochs' records show that nothing is learned.

    `judged` are the records after warm-up and earlier phases of the method; `steps` are those of an
    epoch, `chance` is the accuracy (%) of guessing. Weights that did not move are an error at once;
    accuracy at chance level after max(5, 5 % of all epochs) such epochs and 200 steps.
    """
    if not judged:
        return
    newest = judged[-1]
    if newest["update_ratio"] < STILL and newest["scaler"]["skipped"] < steps:
        raise TrainingError(
            f"no weight moved in epoch {newest['epoch']}, in {steps} steps at learning rate "
            f"{newest['lr']:.4g} with a mean gradient norm of {newest['gradients']['norm']:.4g}",
            HINT,
            "optimizer-never-stepped",
        )
    wait = patience(epochs, steps)
    recent = judged[-wait:]
    accuracies = [record["test"]["accuracy"] for record in recent]
    if len(recent) < wait or max(accuracies) > chance:
        return
    constant = newest["test"]["classes_predicted"] == 1
    what = "predicts one class for every image" if constant else "is at chance level"
    shown = ", ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    raise TrainingError(
        f"the network {what}: test accuracy {shown} % in epochs {recent[0]['epoch']}-"
        f"{newest['epoch']}, chance level is up to {chance:.2f} % (training loss "
        f"{newest['train']['total']:.4g}, gradient norm {newest['gradients']['norm']:.4g})",
        HINT,
        "collapse" if constant else "nothing-learned",
    )
