"""What each field of a round file means: the source of docs/round-files.md."""

from __future__ import annotations

from stillhouse.config.schema import Distillation, Keep, Overrides, Round, Strict, Training

READER = "for the reader"
WRITTEN = "such a round cannot be run"

HELP: dict[type[Strict], dict[str, str]] = {
    Round: {
        "round": "its name (letters, digits, `.`, `_`, `-`)",
        "started": f"{READER}: the date, as in 2026-02-20",
        "status": f"{READER}; reports derive the status from the runs",
        "motivation": f"{READER}: why this round",
        "known_issues": f"{READER}: what the earlier round got wrong, one sentence each",
        "compares_to": "the round that this one follows",
        "changes": "parameter: why it differs from that round; shown by "
        "`stillhouse compare --settings`",
        "files": "custom components: Python files, each with one method, model or dataset (see "
        "below)",
        "datasets": "Cifar10, Cifar100, SVHN, TinyImageNet, FashionMNIST, Digits "
        "([data.md](data.md)), a folder of images or an `.npz` file in a mapping "
        "([own-images.md](own-images.md)), or custom ones",
        "teacher": "the network that teaches: a name of `stillhouse list models`, an alias "
        "(resnet110, resnet56, resnet20 and resnet8 are ResNet112, ResNet56, ResNet20 and "
        "ResNetBaby), a custom one, `torchvision/NAME`, `timm/NAME`, or a network with options "
        "([networks.md](networks.md))",
        "teachers": "instead of `teacher`: several networks, each of which teaches every student",
        "students": "the networks that are taught; names as of `teacher`",
        "methods": "`pure`, the distillation methods and controls: see `stillhouse list methods`",
        "seeds": "one run of every cell per seed; it fixes order, augmentation and initial weights",
        "teacher_seeds": "default: the student's seed; one entry: that teacher for all students; "
        "otherwise paired by position",
        "teachers_from": "a workspace, an `experiments/` folder or an archived round whose "
        "teachers are used, after their weights' hashes are verified; or weight files, as in "
        "`weights/{dataset}/{model}/{seed}/best.pth` (`{seed:03d}` writes leading zeros; see "
        "below)",
        "training": "the recipe, below",
        "distillation": "`total` and `alpha`, below",
        "keep": "which weights stay when a run ends; no number changes "
        "([own-images.md](own-images.md#disk-space))",
        "overrides": "`datasets`, `models`, `methods`: name: {field: value}; applied in that "
        "order, below",
        "sweep": "axis: values. An axis is `alpha` or a parameter of a method; each adds a folder "
        "level",
        "legacy": f"properties of an earlier round that stillhouse does not repeat; {WRITTEN}",
        "search": "written by `stillhouse plan --choose` ([choosing.md](choosing.md)): the round "
        "in which values were chosen, its seeds, and the values tried per method; tables show it",
        "imported": "written by `stillhouse import`: the source of the records and the list of "
        f"runs; {WRITTEN}",
    },
    Training: {
        "epochs": "passes over the training images",
        "batch_size": "the last incomplete batch of an epoch is left out, for every arm",
        "optimizer": "`adam` and `adamw` need their own `learning_rate` ([recipe.md](recipe.md))",
        "learning_rate": "at its highest",
        "momentum": "of `sgd`",
        "nesterov": "Nesterov's momentum, of `sgd`",
        "betas": "of `adam` and `adamw`",
        "weight_decay": "part of the gradient for `sgd` and `adam`, decoupled for `adamw`",
        "decay_norms_and_biases": "false: no weight decay of vectors (norms and biases) and of "
        "what a network's `no_weight_decay()` names",
        "clip_grad_norm": "gradients of student and method are scaled to this common norm where "
        "it is exceeded",
        "ema_decay": "an exponential moving average of the weights is kept, evaluated and saved "
        "beside the raw ones",
        "schedule": "of the learning rate, updated once per epoch",
        "milestones": "of `step`: the epochs after which the rate is multiplied by `step_factor`",
        "step_factor": "of `step`",
        "warmup_epochs": "the rate rises from a tenth, at every step",
        "label_smoothing": "of the cross entropy of every arm",
        "augmentation": "in the order of the list ([recipe.md](recipe.md)); test images are never "
        "augmented",
        "crop_padding": "black pixels per side for `pad_crop`",
        "erasing_probability": "share of the images from which `random_erasing` takes a box",
        "jitter_strength": "of `color_jitter`",
        "rand_augment_operations": "of `rand_augment`: operations per image",
        "rand_augment_magnitude": "of `rand_augment`: their strength from 0 to 30",
        "mixup_alpha": "of `mixup`: its Beta distribution of shares",
        "cutmix_alpha": "of `cutmix`: its Beta distribution of shares",
        "mix_probability": "share of the images that `mixup` and `cutmix` mix",
        "train_images": "a stratified subset, the same for every seed; an error if a class would "
        "have no image in it (default: all)",
        "validation": "stratified images held out before the subset is taken; an error if a class "
        "would have none, or none left to train on (default for own images: those in `val/`)",
        "precision": "`bf16` and `fp16` are autocast; losses are always computed in fp32",
        "threads": "CPU threads of a worker; part of a run's identity, because sums depend on it",
        "deterministic": "cuDNN deterministic, no benchmark mode; all generators are seeded anew "
        "at every step in both cases",
        "tf32": "where fp32 on a GPU uses TF32; `everywhere`: matrix products too",
        "cuda_graphs": "on a GPU, record the kernel launches of a step once and replay them: the "
        "same bits, several times faster for small networks. All students of a cohort are in "
        "memory at once (7 ResNet56: 5 to 7 GB). Custom methods are not recorded unless they set "
        "`capturable = True`",
    },
    Distillation: {
        "total": "how cross entropy and the method's loss are added, see below",
        "alpha": "the method's share of a `convex` or `additive` total (default: of each method)",
    },
    Keep: {
        "students": "`final`: a distilled student keeps its final weights alone",
        "best": "false: no run keeps those of its best epoch, except one that can teach with them",
    },
    Overrides: {
        "datasets": "dataset: fields of `training` and `distillation`",
        "models": "trained network: the same",
        "methods": "method: the same, and the method's own parameters",
    },
}
UNWRITTEN = {(Round, "networks")}  # read from `teacher` and `students`
