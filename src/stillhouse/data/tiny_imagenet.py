"""Tiny ImageNet (Stanford CS231n): 200 classes, 500 training and 50 validation images of each.

The published test images have no labels, so the validation images are the test set, as in the
field. Classes are numbered by their sorted WordNet ids and images sorted by class and file name.
The decoded images are kept beside the folder, so that only the first load decodes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets.utils import download_url

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec
from stillhouse.data.unzip import unzip
from stillhouse.errors import DataError

FOLDER = "tiny-imagenet-200"
ARCHIVE = f"{FOLDER}.zip"
DECODED = f"{FOLDER}.safetensors"
URL = f"http://cs231n.stanford.edu/{ARCHIVE}"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """The images as uint8 RGB: the decoded ones, else decoded now (about a minute) and kept."""
    path = root / DECODED
    if path.exists():
        return _read_decoded(spec, path)
    folder = root / FOLDER
    classes = {name: label for label, name in enumerate(_classes(folder))}
    train = _decode(spec, [(file, classes[name]) for name, file in _train_files(folder, classes)])
    test = _decode(spec, sorted((label, file) for file, label in _val_files(folder, classes)))
    dataset = make_dataset(spec, train, test)
    _write_decoded(dataset, path)
    return dataset
