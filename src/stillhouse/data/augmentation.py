"""The augmentation of a recipe: which changes, in which order, from which random numbers.

Random numbers follow from (seed, epoch, step) for a batch and from (seed, epoch, id) for an image
that is changed by itself, so every student of a cohort sees the same images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor

from stillhouse.data import augment, per_image
from stillhouse.data.base import Batch, Split
from stillhouse.data.mix import MIXING, mix
from stillhouse.errors import unknown_name
from stillhouse.seeding import derive, generator

SETTINGS: dict[str, tuple[str, ...]] = {
    "pad_crop": ("crop_padding",),
    "flip": (),
    "random_resized_crop": (),
    "random_erasing": ("erasing_probability",),
    "color_jitter": ("jitter_strength",),
    "trivial_augment": (),
    "rand_augment": ("rand_augment_operations", "rand_augment_magnitude"),
    "mixup": ("mixup_alpha", "mix_probability"),
    "cutmix": ("cutmix_alpha", "mix_probability"),
}
"""Every augmentation, with the settings that it reads."""


@dataclass(frozen=True)
class Augmentation:
    """The augmentations `names`, applied in their order, and their settings (see `SETTINGS`).

    Raises ConfigError for an unknown name.
    """

    names: tuple[str, ...] = ()
    crop_padding: int = 4
    erasing_probability: float = 0.5
    jitter_strength: float = 0.4
    rand_augment_operations: int = 2
    rand_augment_magnitude: int = 9
    mixup_alpha: float = 1.0
    cutmix_alpha: float = 1.0
    mix_probability: float = 1.0

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in SETTINGS:
                raise unknown_name("augmentation", name, [*SETTINGS])

    def facts(self) -> dict[str, Any]:
        """Return what determines the result, for JSON; settings only where they are read."""
        read = {setting for name in self.names for setting in SETTINGS[name]} - {"crop_padding"}
        beside = {setting: getattr(self, setting) for setting in sorted(read)}
        return {"augmentation": self.names, "padding": self.crop_padding, **beside}

    def change(
        self, part: Split, mean: tuple[float, ...], seed: int, epoch: int, step: int
    ) -> Tensor:
        """Return the images of a batch, uint8; `mean` is the mean colour, 0 to 1 per channel."""
        images, draws = part.pixels, generator("augment", seed, epoch, step)
        fill = [round(255 * value) for value in mean]
        for place, name in enumerate(name for name in self.names if name not in MIXING):
            if transform := self._per_image(name):
                counters = (seed, epoch, name, place)
                seeds = [derive("augment image", *counters, row) for row in part.ids.tolist()]
                images = per_image.per_image(images, transform, seeds)
            else:
                images = self._batch(name, images, fill, draws)
        return images

    def mix(self, batch: Batch, seed: int, epoch: int, step: int) -> Batch:
        """Return a normalised batch with its images mixed, if mixup or cutmix is among `names`."""
        kinds = tuple(name for name in MIXING if name in self.names)
        if not kinds:
            return batch
        alphas = tuple(float(getattr(self, f"{kind}_alpha")) for kind in kinds)
        return mix(batch, kinds, alphas, self.mix_probability, derive("mix", seed, epoch, step))

    def _batch(self, name: str, images: Tensor, fill: list[int], draws: Generator) -> Tensor:
        match name:
            case "pad_crop":
                return augment.pad_crop(images, self.crop_padding, draws)
            case "flip":
                return augment.flip(images, draws)
            case "random_erasing":
                return augment.random_erasing(images, self.erasing_probability, fill, draws)
        return augment.random_resized_crop(images, draws)

    def _per_image(self, name: str) -> per_image.Transform | None:
        match name:
            case "color_jitter":
                return per_image.color_jitter(self.jitter_strength)
            case "trivial_augment":
                return per_image.trivial_augment()
            case "rand_augment":
                operations = self.rand_augment_operations
                return per_image.rand_augment(operations, self.rand_augment_magnitude)
        return None
