"""What the first format of runs knew. Never changed: identities of existing runs rest on it.

A field that is not listed here came later. It counts for the identity of a run only where it
differs from its default, so that existing runs keep theirs.
"""

from __future__ import annotations

FIELDS = frozenset(
    {
        *("dataset", "method", "model", "seed", "parameters"),
        *("teacher", "teacher.model", "teacher.seed", "teacher.source"),
        *("distillation", "distillation.total", "distillation.alpha"),
        "training",
        *("training.epochs", "training.batch_size", "training.optimizer"),
        *("training.learning_rate", "training.momentum", "training.nesterov"),
        *("training.weight_decay", "training.schedule", "training.milestones"),
        *("training.warmup_epochs", "training.label_smoothing", "training.augmentation"),
        *("training.crop_padding", "training.train_images", "training.validation"),
        *("training.precision", "training.threads", "training.deterministic"),
    }
)
PARAMETERS: dict[str, tuple[str, ...]] = {
    "attention_transfer": ("weight", "layers"),
    "ce_scaled": ("coefficient",),
    "factor_transfer": ("variant", "weight", "rate", "layers", "paraphraser_epochs"),
    "fitnets": ("variant", "weight", "layers", "hint_fraction", "temperature"),
    "label_smoothing": ("smoothing",),
    "logit": ("temperature",),
    "nst": ("weight", "layers"),
    "pure": (),
    "random_teacher": ("temperature",),
    "rkd": ("distance_weight", "angle_weight", "embedding"),
    "self": ("temperature",),
    "shuffled_teacher": ("temperature",),
}


def is_later(field: str) -> bool:
    """Whether a dotted field of `RunConfig` came after format 1."""
    return field not in FIELDS


def is_later_parameter(method: str, name: str) -> bool:
    """Whether a parameter of a built-in method came after format 1.

    A method that came later, or that is a user's own, counts all of its parameters.
    """
    return method in PARAMETERS and name not in PARAMETERS[method]
