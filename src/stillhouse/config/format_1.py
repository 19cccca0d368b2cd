"""The fields of the first format of runs. Never change them: identities of runs depend on it.

A field that is not listed here was added later. It changes the identity of a run only if it differs
from its default, so existing runs keep their identity.
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
MODELS = frozenset({"ResNet112", "ResNet56", "ResNet20", "ResNetBaby"})
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
    """Return whether a dotted field of `RunConfig` was added after format 1."""
    return field not in FIELDS


def is_later_parameter(method: str, name: str) -> bool:
    """Return whether a parameter of a built-in method was added after format 1.

    All parameters of a later method or a custom one are part of the identity.
    """
    return method in PARAMETERS and name not in PARAMETERS[method]
