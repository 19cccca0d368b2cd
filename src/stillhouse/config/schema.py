"""The round file, as typed models. Validation needs no torch."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from stillhouse.config.teacher_file import FROZEN, check_source
from stillhouse.errors import ConfigError
from stillhouse.models.named import Networks, find
from stillhouse.plugin import Plugin, read_plugin

PURE = "pure"
Augmentation = Literal[
    "pad_crop",
    "flip",
    "random_resized_crop",
    "random_erasing",
    "color_jitter",
    "trivial_augment",
    "rand_augment",
    "mixup",
    "cutmix",
]
MIXING = ("mixup", "cutmix")
Precision = Literal["fp32", "bf16", "fp16"]
Total = Literal["reference", "convex", "additive"]
# Far above practical values, and below values that exhaust memory or threads, or overflow.
MAX_EPOCHS, MAX_IMAGES, MAX_PADDING, MAX_THREADS = 10**6, 10**9, 256, 1024
MAX_OPERATIONS, MAX_MAGNITUDE = 14, 30  # RandAugment's operations and steps of strength
MAX_REAL = 1e30  # float32 ends at 3e38
Count = Annotated[int, Field(ge=0, strict=True)]
Positive = Annotated[int, Field(gt=0, strict=True)]
Epochs = Annotated[Positive, Field(le=MAX_EPOCHS)]
Seed = Annotated[Count, Field(le=2**63 - 1)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_REAL, le=MAX_REAL)]
Rate = Annotated[Real, Field(gt=0)]
Fraction = Annotated[Real, Field(ge=0, lt=1)]
OpenFraction = Annotated[Real, Field(gt=0, lt=1)]
Probability = Annotated[Real, Field(gt=0, le=1)]
SGD_RATE = 0.1
# A field of `Training` that has an effect only where another field has, or contains, one of these.
ONLY_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "crop_padding": ("augmentation", ("pad_crop",)),
    "erasing_probability": ("augmentation", ("random_erasing",)),
    "jitter_strength": ("augmentation", ("color_jitter",)),
    "rand_augment_operations": ("augmentation", ("rand_augment",)),
    "rand_augment_magnitude": ("augmentation", ("rand_augment",)),
    "mixup_alpha": ("augmentation", ("mixup",)),
    "cutmix_alpha": ("augmentation", ("cutmix",)),
    "mix_probability": ("augmentation", MIXING),
    "momentum": ("optimizer", ("sgd",)),
    "nesterov": ("optimizer", ("sgd",)),
    "betas": ("optimizer", ("adam", "adamw")),
    "step_factor": ("schedule", ("step",)),
}


class Strict(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _read_file(given: Any, info: ValidationInfo) -> Plugin:
    """Read a file named in a round file; the context's `folder` is the round file's."""
    if isinstance(given, Plugin):
        return given
    if not isinstance(given, str):
        raise PydanticKnownError("string_type")
    try:
        return read_plugin(((info.context or {}).get("folder") or Path()) / given)
    except ConfigError as error:
        cause = {"what": error.message, "cure": error.hint}
        raise PydanticCustomError("own_file", "{what}", cause) from None


class Training(Strict):
    """The recipe: the same for every arm except for overrides."""

    epochs: Epochs = 150
    batch_size: Annotated[Positive, Field(le=MAX_IMAGES)] = 128
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: Rate = SGD_RATE
    momentum: Fraction = 0.9
    nesterov: StrictBool = False
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    weight_decay: Annotated[Real, Field(ge=0)] = 5e-4
    decay_norms_and_biases: StrictBool = True
    clip_grad_norm: Rate | None = None
    ema_decay: OpenFraction | None = None
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[Epochs, ...] = ()
    step_factor: OpenFraction = 0.1
    warmup_epochs: Annotated[Count, Field(le=MAX_EPOCHS)] = 0
    label_smoothing: Fraction = 0.0
    augmentation: tuple[Augmentation, ...] = ()
    crop_padding: Annotated[Positive, Field(le=MAX_PADDING)] = 4
    erasing_probability: Probability = 0.5
    jitter_strength: OpenFraction = 0.4
    rand_augment_operations: Annotated[Positive, Field(le=MAX_OPERATIONS)] = 2
    rand_augment_magnitude: Annotated[Count, Field(le=MAX_MAGNITUDE)] = 9
    mixup_alpha: Rate = 1.0
    cutmix_alpha: Rate = 1.0
    mix_probability: Probability = 1.0
    train_images: Annotated[Positive, Field(le=MAX_IMAGES)] | None = None
    validation: Annotated[Count, Field(le=MAX_IMAGES)] = 0
    precision: Precision = "fp32"
    threads: Annotated[Positive, Field(le=MAX_THREADS)] = 1
    deterministic: StrictBool = True
    tf32: Literal["nowhere", "convolutions", "everywhere"] = "convolutions"
    cuda_graphs: StrictBool = True

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.schedule == "step" and not self.milestones:
            raise ValueError(
                "schedule 'step' needs milestones, the epochs after which the learning rate is "
                "multiplied by step_factor"
            )
        if self.milestones and self.schedule != "step":
            raise ValueError("milestones are only used by schedule 'step'")
        if self.warmup_epochs >= self.epochs:
            raise ValueError("warmup_epochs must be smaller than epochs")
        first = next((i for i, name in enumerate(self.augmentation) if name in MIXING), None)
        if first is not None and not {*self.augmentation[first:]} <= {*MIXING}:
            raise ValueError("mixup and cutmix mix finished images: name them last in augmentation")
        if self.optimizer != "sgd" and self.learning_rate == SGD_RATE:
            raise ValueError(
                f"optimizer '{self.optimizer}' needs its own learning_rate (1e-3 is usual): "
                f"{SGD_RATE:g} is the default for sgd"
            )
        return self

    @property
    def mixes(self) -> bool:
        """Return whether images are mixed of two, with two labels."""
        return self.uses("mix_probability")

    def uses(self, field: str) -> bool:
        """Return whether a field can change a number, given the others (see `ONLY_WITH`)."""
        if field not in ONLY_WITH:
            return True
        other, values = ONLY_WITH[field]
        found = getattr(self, other)
        return not {*values}.isdisjoint([found] if isinstance(found, str) else found)


class Distillation(Strict):
    """The weights of cross entropy and the method's loss."""

    total: Total = "reference"
    alpha: Fraction | None = None


FLAT = (*Training.model_fields, *Distillation.model_fields)


class Overrides(Strict):
    """Overrides, flat: any training or distillation field; for a method also its parameters.

    They apply in the order dataset, model (the trained network), method.
    """

    datasets: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}
    methods: dict[str, dict[str, Any]] = {}


class Keep(Strict):
    """Which weights stay when a run is finished; no number depends on it.

    With `students: final` a distilled student keeps its final weights alone; with `best: false` no
    run keeps those of its best epoch, except one that can teach with them.
    """

    students: Literal["all", "final"] = "all"
    best: StrictBool = True

    def drops(self, method: str, validated: bool) -> frozenset[str]:
        """Return which of `best`, `ema` and `method` a run does not keep.

        A pure run teaches with its best weights if validation images chose them.
        """
        teaches_with_best = method == PURE and validated
        dropped = {"best"} if not self.best and not teaches_with_best else set()
        if self.students == "final" and method != PURE:
            dropped = {"best", "ema", "method"}
        return frozenset(dropped)


KEEP_ALL = Keep()


class Imported(Strict):
    """The source of an imported round, and its runs in the matrix, by path.

    `unknown` are the fields of `training` that neither the records nor a recipe contain.
    """

    source: str
    runs: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class Search(Strict):
    """The round in which swept values were chosen: its seeds, and how many values per method."""

    round: str
    seeds: tuple[Seed, ...] = ()
    trials: dict[str, Positive] = {}


class Round(Strict):
    """One round: its runs, their settings, and why it differs from the previous round."""

    round: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    started: date | None = None
    status: str = ""
    motivation: str = ""
    known_issues: tuple[str, ...] = ()
    compares_to: str | None = None
    changes: dict[str, str] = {}
    files: Annotated[
        tuple[Annotated[Plugin, BeforeValidator(_read_file)], ...], Field(max_length=1000)
    ] = ()
    datasets: Annotated[tuple[str, ...], Field(min_length=1)]
    teacher: str
    teachers: tuple[str, ...] = ()
    students: Annotated[tuple[str, ...], Field(min_length=1)]
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    teacher_seeds: tuple[Seed, ...] | None = None
    teachers_from: Annotated[str, AfterValidator(check_source)] | None = None
    training: Training = Training()
    distillation: Distillation = Distillation()
    keep: Keep = KEEP_ALL
    overrides: Overrides = Overrides()
    sweep: dict[str, Annotated[tuple[Real, ...], Field(min_length=1)]] = {}
    legacy: dict[str, str] = {}
    search: Search | None = None
    imported: Imported | None = None
    networks: Networks = ()

    @model_validator(mode="after")
    def _consistent(self) -> Round:
        for field in ("datasets", "teachers", "students", "methods", "seeds"):
            values = getattr(self, field)
            if len(set(values)) < len(values):
                raise ValueError(f"{field} has a duplicate: {list(values)}")
        if self.teacher_seeds is not None and len(self.teacher_seeds) not in (1, len(self.seeds)):
            raise ValueError(
                f"teacher_seeds has {len(self.teacher_seeds)} entries: expected one for all "
                f"seeds, or one for each of the {len(self.seeds)} seeds"
            )
        return self

    @property
    def all_teachers(self) -> tuple[str, ...]:
        """The networks that teach: `teachers`, or the one `teacher`."""
        return self.teachers or (self.teacher,)

    def source_of(self, teacher: str) -> str | None:
        """Where a teacher's weights come from: None if it is trained in this round."""
        network = find(teacher, self.networks)
        return FROZEN if network and not network.train else self.teachers_from

    @property
    def own_teachers(self) -> list[str]:
        """The teachers that are trained in this round."""
        return [name for name in self.all_teachers if self.source_of(name) is None]

    @property
    def trained(self) -> dict[str, list[str]]:
        """The datasets, models and methods that it trains: those an override can reach."""
        teacher_method = [PURE] if self.own_teachers else []
        return {
            "datasets": list(self.datasets),
            "models": list(dict.fromkeys([*self.own_teachers, *self.students])),
            "methods": list(dict.fromkeys([*teacher_method, *self.methods])),
        }


class Teacher(Strict):
    """The trained network that teaches a run."""

    model: str
    seed: Seed
    source: str | None = None


class RunConfig(Strict):
    """Everything that determines a run's numbers: its identity."""

    dataset: str
    method: str
    model: str
    seed: Seed
    teacher: Teacher | None = None
    axes: dict[str, float] = {}
    training: Training = Training()
    distillation: Distillation = Distillation()
    parameters: dict[str, Any] = {}
    files: tuple[Plugin, ...] = ()
    networks: Networks = ()

    @property
    def path(self) -> str:
        """The run's folder below `experiments/`, as in `Cifar10/rkd/ResNet112_to_ResNet56/0`."""
        axes = "".join(f"{name}_{value:g}/" for name, value in sorted(self.axes.items()))
        networks = f"{self.teacher.model}_to_{self.model}" if self.teacher else self.model
        return f"{self.dataset}/{self.method}/{axes}{networks}/{self.seed}"

    @property
    def axis_values(self) -> str:
        """The values of swept axes, as in `alpha=0.5 temperature=4`; empty without a sweep."""
        return " ".join(f"{name}={value:g}" for name, value in self.axes.items())

    @property
    def label(self) -> str:
        """The method with the values of swept axes: `rkd` or `rkd alpha=0.5`."""
        return f"{self.method} {self.axis_values}".strip()

    @property
    def teacher_path(self) -> str | None:
        """The folder of its teacher below the `experiments/` of the teacher's round, if any."""
        teacher = self.teacher
        return f"{self.dataset}/{PURE}/{teacher.model}/{teacher.seed}" if teacher else None

    @property
    def pure_path(self) -> str:
        """The folder of the pure run of its network and seed, below `experiments/`."""
        return f"{self.dataset}/{PURE}/{self.model}/{self.seed}"
