"""A method's step in torchdistill, with the parts and keys that its documentation uses.

A `DistillationBox` with a weighted sum of the library's own losses (`KDLoss`, `ATLoss`), forward
hooks on the groups of both networks, SGD, and the step of its image classification example. The
networks and batches are those of the other rows. `pip install 'stillhouse[bench]'` installs it.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from benchmarks.gpu.workload import Setting, make_teacher
from torch import Tensor, nn

from stillhouse import models
from stillhouse.data.base import Dataset
from stillhouse.models.base import Network
from stillhouse.seeding import reseed
from stillhouse.training.precision import DTYPES

GROUPS = ("layer1", "layer2", "layer3")


def missing() -> str:
    """Return why the library cannot be measured here; empty if it can."""
    try:
        import_module("torchdistill.core.distillation")
    except ImportError as error:
        return f"needs torchdistill: pip install 'stillhouse[bench]' ({error})"
    return ""


class Plain(nn.Module):
    """A network as the library expects it: images to logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        outputs = self.network(images)
        return outputs.logits  # type: ignore[no-any-return]


def terms(method: str) -> dict[str, Any]:
    """Return the library's loss terms of a method, weighed as stillhouse weighs them."""
    if method == "logit":
        paths = {"student_module_path": ".", "teacher_module_path": "."}
        ends = {"student_module_io": "output", "teacher_module_io": "output"}
        loss = {"key": "KDLoss", "kwargs": {**paths, **ends, "temperature": 4.0, "alpha": 0.1}}
        return {"kd": {"criterion": loss, "weight": 1.0}}
    here = {name: {"path": f"network.{name}", "io": "output"} for name in GROUPS}
    pairs = {name: {"teacher": at, "student": at, "weight": 1} for name, at in here.items()}
    given = {
        "input": {"is_from_teacher": False, "module_path": ".", "io": "output"},
        "target": {"uses_label": True},
    }
    return {
        "ce": {
            "criterion": {"key": "CrossEntropyLoss", "kwargs": {"reduction": "mean"}},
            "criterion_wrapper": {"key": "SimpleLossWrapper", "kwargs": given},
            "weight": 1.0,
        },
        "at": {
            "criterion": {"key": "ATLoss", "kwargs": {"at_pairs": pairs, "mode": "code"}},
            "weight": 1000.0,
        },
    }


def make_step(
    setting: Setting, method: str, images: Dataset, device: torch.device
) -> Callable[[list[Tensor]], float]:
    """Return one run's training step, which returns its loss."""
    for name in ("losses.mid_level", "losses.util", "core.interfaces.forward_proc"):
        import_module(f"torchdistill.{name}")  # they register what the keys name
    distillation = import_module("torchdistill.core.distillation")
    logging.getLogger("torchdistill").setLevel(logging.ERROR)
    taught = make_teacher(setting.teacher, "fp32", images, device).network
    teacher = copy.deepcopy(taught).to(memory_format=torch.contiguous_format)
    reseed("init", 0, setting.student)
    student = models.build(setting.student, images.spec).to(device)
    hooks = [f"network.{name}" for name in GROUPS] if method == "attention_transfer" else []
    network = {"forward_proc": "forward_batch_only", "forward_hook": {"input": [], "output": hooks}}
    config = {
        "num_epochs": 1,
        "train_data_loader": {},
        "teacher": {**network, "requires_grad": False},
        "student": network,
        "optimizer": {"key": "SGD", "kwargs": {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms(method)}},
    }
    both = Plain(teacher).eval(), Plain(student)
    box = distillation.get_distillation_box(*both, {}, config, device, None, False, 1.0)
    box.student_model.train()
    dtype = DTYPES.get(setting.precision)

    def step(batch: list[Tensor]) -> float:
        pixels, labels = batch
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            loss = box.forward_process(pixels, labels, {})
        box.post_forward_process(loss=loss)
        return float(loss.item())

    return step
