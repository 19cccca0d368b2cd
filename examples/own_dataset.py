"""Even or odd: scikit-learn's digits with two classes."""

from pathlib import Path

from stillhouse import data
from stillhouse.data.base import Dataset, make_dataset

SPEC = data.DatasetSpec(name="own_dataset", label="Even or odd")  # all else is measured


def load(spec: data.DatasetSpec, root: Path) -> Dataset:
    """The images of Digits, labelled 0 for even and 1 for odd; `root` is the data folder."""
    digits = data.load("Digits", root)
    train, test = digits.train, digits.test
    return make_dataset(spec, (train.images, train.labels % 2), (test.images, test.labels % 2))
