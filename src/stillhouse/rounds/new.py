"""A first round file: it runs as it stands, and says in comments what to change.

For own images it has a size, a number of epochs and a batch size that suit them.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from stillhouse import data
from stillhouse.data import own_images
from stillhouse.errors import ConfigError, RunError

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
TEMPLATE = """\
# A round: what is trained, how, and why. docs/round-files.md describes every field.
#   stillhouse plan {file}     the matrix, and what it costs
#   stillhouse run {file}      train what is missing; interrupted, it goes on where it was
#   stillhouse table {file}    accuracies, differences to pure, intervals
round: {name}
motivation: Which question does this round answer?

datasets:{datasets}
teacher: ResNet20           # `stillhouse list models`
students: [ResNetBaby]
methods: [pure, logit, rkd] # `stillhouse list methods`; pure: the student without a teacher
seeds: [0, 1, 2]            # one run of every cell per seed; intervals need three

training:                   # one recipe for teachers and students
  epochs: {epochs}
  batch_size: {batch_size}
  learning_rate: {rate:<9}  # SGD
  momentum: 0.9
  weight_decay: 5e-4
  schedule: cosine          # or constant, or step with milestones: [5, 8]
  augmentation: [pad_crop]  # docs/recipe.md lists all
  crop_padding: {padding}           # pixels per side; 4 is usual for images of 32 x 32
  # validation: {validation}         # images held out to choose the best epoch; else test images

distillation:
  total: reference          # each method's published loss; or convex or additive with alpha: 0.9

# overrides:                # exceptions, by dataset, by network, by method
#   methods:
#     logit: {{temperature: 2.0}}
# sweep:                    # one arm per value
#   temperature: [1, 2, 4, 8]
# teachers_from: ../other   # take the teachers of another workspace, relative to this file
# files: [my_method.py]     # custom components: docs/custom-components.md
"""


DIGITS = {
    "datasets": " [Digits]          # `stillhouse list datasets`; Digits needs no download",
    "epochs": 10,
    "batch_size": 64,
    "rate": "0.05",
    "padding": 1,
    "validation": 200,
}
OWN = """
  - name: {name}
    {kind}: {path}
    size: {size}                # pixels per side: the centred square of each image, resized
    # {facts}"""
PLAIN = re.compile(r"[\w./-]+")  # a path that YAML needs no quotes for
# A batch so small that an epoch has enough steps, with a learning rate in proportion: training that
# stays at chance level is stopped.
RATES = {64: "0.05", 32: "0.025", 16: "0.0125", 8: "0.00625"}
STEPS_PER_EPOCH, MIN_STEPS, MIN_EPOCHS, MAX_EPOCHS = 20, 600, 10, 60


def new_round(name: str, images: Path | None = None) -> Path:
    """Write a round file for a name (`mine`) or a path (`rounds/mine.yaml`); return its path.

    `images` is a folder of images or an .npz file, which is measured, instead of the digits. Raises
    ConfigError for a name that no round can have, RunError if the file exists, and DataError for
    images that cannot be used.
    """
    file = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if not re.fullmatch(NAME, file.stem):
        raise ConfigError(
            f"--new {name}: '{file.stem}' cannot be a round's name",
            "letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    if file.exists():
        raise RunError(f"{file} exists", "choose another name, or edit it")
    values = _of_images(images, file.parent) if images else DIGITS
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=file.stem, file=file, **values))
    except FileExistsError:
        raise RunError(f"{file} exists", "choose another name, or edit it") from None
    return file


def _of_images(path: Path, beside: Path) -> dict[str, Any]:
    """Return what the template needs to know of a folder of images or an .npz file."""
    if not path.exists():
        raise ConfigError(f"--folder {path}: there is no such folder", "give a folder of images")
    name = re.sub(r"\W", "_", path.resolve().stem, flags=re.ASCII)
    name = name if name[:1].isalpha() else f"images_{name}"
    name = f"{name}_images" if name in data.names() else name
    size = own_images.suggested_size(path)
    facts = own_images.measured(own_images.OwnImages(name, path.absolute(), size), beside)
    spec = data.spec(name, (facts,))
    train = spec.train_images - spec.validation_images
    batch = next((size for size in RATES if train // size >= STEPS_PER_EPOCH), min(RATES))
    shown = os.path.relpath(path.absolute(), beside.absolute())
    shown = shown if shown.startswith(".") else f"./{shown}"
    return {
        "datasets": OWN.format(
            name=name,
            kind="folder" if path.is_dir() else "npz",
            path=shown if PLAIN.fullmatch(shown) else json.dumps(shown, ensure_ascii=False),
            size=size,
            facts=own_images.sentence(spec),
        ),
        "epochs": min(max(MIN_STEPS * batch // train, MIN_EPOCHS), MAX_EPOCHS),
        "batch_size": min(batch, train),
        "rate": RATES[batch],
        "padding": max(size // 8, 1),
        "validation": max(train // 10, spec.classes),
    }
