"""Properties of an imported round that stillhouse does not repeat, and what stillhouse does
instead.

The key of a `legacy` note is a method (its loss was another) or one of `PRACTICES`.
"""

from __future__ import annotations

from stillhouse import methods
from stillhouse.config.schema import Round
from stillhouse.plugin import Files

PRACTICES = {
    "loss_weights": "the published ratio of the method's loss to cross entropy",
    "test_view": "the unaltered image",
    "reported_accuracy": "final epoch (best epoch kept beside it)",
    "teacher_weights": "final epoch",
}
ON_VALIDATION = "best epoch on the validation split"


def keys(files: Files = ()) -> list[str]:
    """Return the keys that a legacy note may have."""
    return [*PRACTICES, *methods.names(files)]


def practice(round_: Round, key: str) -> str:
    """Return what a round does about `key`: its own note, or else what stillhouse does."""
    if key in round_.legacy:
        return round_.legacy[key]
    if key == "teacher_weights" and round_.training.validation:
        return ON_VALIDATION
    if key in PRACTICES:
        return PRACTICES[key]
    return f"as published: {methods.declared(key, round_.files).summary}"
