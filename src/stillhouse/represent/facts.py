"""`extracted.json`: what was measured of a network while its representations were extracted."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from stillhouse.represent.store import Which
from stillhouse.runs.records import Digest, Natural, Percent, Schema

FILE = "extracted.json"


@with_config(ConfigDict(extra="allow", strict=True))
class Facts(TypedDict):
    """What a network gets right, what it costs, and how it was measured.

    `class_accuracies` are percent, one per class, None for a class without test images. `top5` is
    there from 20 classes up. `multiply_adds` and `seconds_per_image` are of one image;
    the latter is the median over batches of `batch_size` images, with `threads` threads and `jobs`
    networks at once. `differing` test images are predicted otherwise than the run recorded; their
    logits' top-two margin is at most `largest_margin` of the range of the row's logits.
    """

    weights: Which
    weights_sha256: Digest
    accuracy: Percent
    top5: NotRequired[Percent]
    class_accuracies: list[Percent | None]
    parameters: Natural
    multiply_adds: Natural
    seconds_per_image: Annotated[float, Field(ge=0)]
    batch_size: Natural
    threads: Natural
    jobs: Natural
    device: str
    differing: Natural
    largest_margin: NotRequired[float]


FACTS = Schema(Facts, f"remove {FILE} and repeat `stillhouse extract`", sealed=True)
