"""Autocast and gradient scaling for fp32, bf16 and fp16, on a CPU or a GPU."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from stillhouse.config.schema import Precision, Training
from stillhouse.runs import environment

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the autocast context of the networks; it does nothing for fp32."""
    dtype = DTYPES.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def full_precision(device: torch.device) -> torch.autocast:
    """Return the context without autocast in which every loss is computed."""
    return torch.autocast(device.type, enabled=False)


def make_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return a gradient scaler, active for fp16 only."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def configure(training: Training) -> None:
    """Set this process's threads, determinism and TF32 switches, as in the run's record.

    From here on it keeps the memory it frees.
    """
    environment.keep_freed_memory()
    torch.set_num_threads(training.threads)
    torch.backends.cudnn.deterministic = training.deterministic
    torch.backends.cudnn.benchmark = not training.deterministic
    torch.backends.cudnn.allow_tf32 = training.tf32 != "nowhere"
    torch.backends.cuda.matmul.allow_tf32 = training.tf32 == "everywhere"
    if training.deterministic:  # read by cuBLAS when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def machine(device: torch.device) -> dict[str, Any]:
    """Return what a run records of the machine: its packages, device, GPU and threads."""
    found = environment.machine()
    found |= {"device": str(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def waits_for(device: torch.device) -> bool:
    """Return whether every step may read its results at once; on a GPU that would stall it."""
    return device.type != "cuda"


def to_device(network: nn.Module, device: torch.device) -> None:
    """Move a network to its device in channels-last layout, the faster one for convolutions."""
    network.to(device)
    network.to(memory_format=torch.channels_last)


def pick_device(name: str) -> torch.device:
    """Return the device; `auto` is CUDA if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
