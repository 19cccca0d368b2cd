"""The facts of each dataset, known without loading it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

MEASURED = (
    *("classes", "channels", "size", "train_images", "test_images", "commonest", "mean", "std"),
)


@dataclass(frozen=True)
class DatasetSpec:
    """Facts of a dataset: `mean` and `std` are per channel, of pixels scaled to [0, 1].

    `commonest` counts the test images of the largest class, which a constant prediction gets right.
    `fingerprint` is `Dataset.fingerprint` of the published images, if needed. The last
    `validation_images` of the training images are the dataset's own validation images. `note` says
    how own images became these. A custom component may leave out all from `classes` on: they are
    measured.
    """

    name: str
    label: str
    classes: int = 0
    channels: int = 0
    size: int = 0
    train_images: int = 0
    test_images: int = 0
    commonest: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fingerprint: str = ""
    validation_images: int = 0
    note: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of the facts that are to be measured."""
        return tuple(name for name in MEASURED if not getattr(self, name))


# `mean` and `std` are over all pixels of the training images, to four decimals. Those of Cifar100
# and TinyImageNet are the field's own, so that published recipes compare: they differ from the
# pixels' by up to 0.0002 and 0.0006.
SPECS = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="Cifar10",
            label="CIFAR-10",
            classes=10,
            channels=3,
            size=32,
            train_images=50_000,
            test_images=10_000,
            commonest=1_000,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            fingerprint="abf4b167a135b062ef28f7f742091acaf0d93435cacacaa70137c477b4a499cb",
        ),
        DatasetSpec(
            name="Cifar100",
            label="CIFAR-100",
            classes=100,
            channels=3,
            size=32,
            train_images=50_000,
            test_images=10_000,
            commonest=100,
            mean=(0.5071, 0.4867, 0.4408),
            std=(0.2675, 0.2565, 0.2761),
            fingerprint="34a73562c333c3f38088a2a09d18abd6d04eacc4d045680dcbdc10f3a665e06b",
        ),
        DatasetSpec(
            name="SVHN",
            label="SVHN",
            classes=10,
            channels=3,
            size=32,
            train_images=73_257,
            test_images=26_032,
            commonest=5_099,
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
        ),
        DatasetSpec(
            name="TinyImageNet",
            label="Tiny ImageNet",
            classes=200,
            channels=3,
            size=64,
            train_images=100_000,
            test_images=10_000,
            commonest=50,
            mean=(0.4802, 0.4481, 0.3975),
            std=(0.2770, 0.2691, 0.2821),
        ),
        DatasetSpec(
            name="FashionMNIST",
            label="Fashion-MNIST",
            classes=10,
            channels=1,
            size=28,
            train_images=60_000,
            test_images=10_000,
            commonest=1_000,
            mean=(0.2860,),
            std=(0.3530,),
        ),
        DatasetSpec(
            name="Digits",
            label="Digits",
            classes=10,
            channels=1,
            size=8,
            train_images=1_442,
            test_images=355,
            commonest=36,
            mean=(0.3052,),
            std=(0.3760,),
        ),
    )
}
