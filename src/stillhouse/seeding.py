"""Counter-based randomness: every draw follows from what it is for, and no state is kept.

`derive("order", seed, epoch)` is the same number in every process, on every machine, in any
order of calls, so an epoch replays without stored generator state.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(purpose: str, *parts: int | str) -> int:
    """A 63-bit seed for one purpose and its counters (BLAKE2b of their text)."""
    text = "/".join([purpose, *map(str, parts)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(purpose: str, *parts: int | str) -> torch.Generator:
    """A CPU torch generator seeded by `derive`."""
    import torch

    return torch.Generator().manual_seed(derive(purpose, *parts))


def reseed(purpose: str, *parts: int | str) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices) by `derive`.

    What draws from them afterwards, a network or a method, built in or a user's own, depends on
    nothing that was drawn before.
    """
    import random

    import numpy as np
    import torch

    seed = derive(purpose, *parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
