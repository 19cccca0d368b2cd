"""What is known of each dataset without loading it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetSpec:
    """Facts of a dataset: `mean` and `std` are per channel, of pixels scaled to [0, 1]."""

    name: str
    label: str
    classes: int
    channels: int
    size: int
    train_images: int
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
