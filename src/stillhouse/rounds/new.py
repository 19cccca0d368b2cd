"""A first round file: it runs as it stands, and says in comments what to change."""

from __future__ import annotations

import re
from pathlib import Path

from stillhouse.errors import ConfigError, RunError

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
TEMPLATE = """\
# A round: what is trained, how, and why. docs/round-files.md describes every field.
#   stillhouse plan {file}     the matrix, and what it costs
#   stillhouse run {file}      train what is missing; interrupted, it goes on where it was
#   stillhouse table {file}    accuracies, differences to pure, intervals
round: {name}
motivation: Which question does this round answer?

datasets: [Digits]          # `stillhouse list datasets`; Digits needs no download
teacher: ResNet20           # `stillhouse list models`
students: [ResNetBaby]
methods: [pure, logit, rkd] # `stillhouse list methods`; pure: the student without a teacher
seeds: [0, 1, 2]            # one run of every cell per seed; intervals need three

training:                   # one recipe for teachers and students
  epochs: 10
  batch_size: 64
  learning_rate: 0.05       # SGD
  momentum: 0.9
  weight_decay: 5e-4
  schedule: cosine          # or constant, or step with milestones: [5, 8]
  augmentation: [pad_crop]  # any of pad_crop, flip, random_resized_crop
  crop_padding: 1           # pixels per side; 4 is usual for images of 32 x 32
  # validation: 200         # images held out to choose the best epoch; else it is the test images

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


def new_round(name: str) -> Path:
    """Write a round file for a name (`mine`) or a path (`rounds/mine.yaml`); return its path.

    Raises ConfigError for a name that no round can have, and RunError if the file exists.
    """
    file = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if not re.fullmatch(NAME, file.stem):
        raise ConfigError(
            f"--new {name}: '{file.stem}' cannot be a round's name",
            "letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=file.stem, file=file))
    except FileExistsError:
        raise RunError(f"{file} exists", "choose another name, or edit it") from None
    return file
