"""One row for every option of the recipe: the table of the contract."""

from __future__ import annotations

from typing import Any

RECIPES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam", "learning_rate": 1e-3},
    "adamw, own betas": {"optimizer": "adamw", "learning_rate": 1e-3, "betas": (0.8, 0.99)},
    "adamw in fp16": {"optimizer": "adamw", "learning_rate": 1e-3, "precision": "fp16"},
    "no decay of norms and biases": {"decay_norms_and_biases": False, "weight_decay": 0.05},
    "clipped gradients": {"clip_grad_norm": 0.1},
    "clipped gradients in fp16": {"clip_grad_norm": 0.1, "precision": "fp16"},
    "averaged weights": {"ema_decay": 0.5},
    "step with its factor": {"schedule": "step", "milestones": (1,), "step_factor": 0.5},
    "random erasing": {"augmentation": ("random_erasing",), "erasing_probability": 0.9},
    "colour jitter": {"augmentation": ("color_jitter",), "jitter_strength": 0.3},
    "TrivialAugment": {"augmentation": ("trivial_augment",)},
    "RandAugment": {
        "augmentation": ("rand_augment",),
        "rand_augment_operations": 1,
        "rand_augment_magnitude": 12,
    },
    "mixup": {"augmentation": ("pad_crop", "mixup"), "mixup_alpha": 0.4},
    "cutmix": {"augmentation": ("cutmix",), "cutmix_alpha": 0.5, "mix_probability": 0.8},
    "all at once": {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "decay_norms_and_biases": False,
        "clip_grad_norm": 0.5,
        "ema_decay": 0.9,
        "augmentation": ("pad_crop", "trivial_augment", "random_erasing", "mixup", "cutmix"),
    },
}
