"""The cast: every cause at least twice in each world, and healthy runs that look like some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.doctor import faults as f
from benchmarks.doctor.worlds import FEW_PIXELS, JUDGED, MADE, Scene, World

HASH = "ab" * 32


def over(method: str, **changes: Any) -> dict[str, Any]:
    """A round in which the settings of one method differ."""
    return {"overrides": {"methods": {method: changes}}}


def injected(world: World) -> list[Scene]:
    """Every ill run of a world; in the second some are made ill in another way."""
    new = world is JUDGED
    return [
        *_dead(new),
        *_at_chance(world, new),
        *_teachers(new),
        *_weighed(world, new),
        *_paced(world, new),
    ]


def _dead(new: bool) -> list[Scene]:
    """Runs that ended, or never began."""
    package = "torchvision.datasets" if new else "sklearn.datasets"
    allocate = f.host_memory_numpy if new else f.host_memory
    second = ("attempts/001/status.json", f.SLURM_TIME) if new else ("run.json", f.PBS)
    return [
        Scene("no-package", "missing-module", fault=f.without(package)),
        Scene("no-import", "missing-module", "logit", fault=f.raising(f.importing("no_such"))),
        Scene("gpu-full", "oom-gpu", fault=f.raising(f.gpu_memory)),
        Scene("gpu-full-student", "oom-gpu", "logit", fault=f.raising(f.gpu_memory, 0)),
        Scene("memory-full", "oom-host", fault=f.raising(allocate)),
        Scene("memory-full-student", "oom-host", "logit", fault=f.raising(allocate, 0)),
        Scene("job-memory", "oom-limit", train=f.KILL, after=f.says(f.SLURM_MEMORY)),
        Scene("job-memory-2", "oom-limit", "logit", train=f.KILL, after=f.says(f.SLURM_MEMORY)),
        Scene("disk-full", "disk", fault=f.small_files),
        Scene("torn-file", "disk", after=f.torn(second[0] if not new else "result.json")),
        Scene("deadline", "walltime", train=f.until(1.0)),
        Scene("job-time", "walltime", "logit", train=f.KILL, after=f.says(second[1])),
        Scene("killed", "killed", train=f.KILL),
        Scene("terminated", "killed", "logit", train=f.TERMINATE),
        Scene("gone", "stale-heartbeat", train=f.KILL, after=f.elsewhere),
        Scene("gone-student", "stale-heartbeat", "logit", train=f.KILL, after=f.elsewhere),
        Scene("error", "crash", fault=f.raising(lambda: {"a": 0}["key"])),
        Scene("error-student", "crash", "logit", fault=f.raising(lambda: [][1], 0)),
    ]


def _at_chance(world: World, new: bool) -> list[Scene]:
    """Runs that learned nothing, or lost it."""
    decay = {"weight_decay": 5.0 if new else 3.0}
    late, factor = (5, 3e3) if new else (7, 1e4)
    seeds = list(world.seeds[:3])
    blank = f.test_images(lambda x: x.flip(0))
    shift = f.test_labels(lambda y: (y + 1) % 10)
    return [
        Scene("frozen", "optimizer-never-stepped", fault=f.frozen),
        Scene(
            "frozen-student",
            "optimizer-never-stepped",
            "rkd" if new else "logit",
            fault=f.frozen,
        ),
        Scene(
            "skipped",
            "optimizer-never-stepped",
            round={"training": {"precision": "fp16"}},
            keep_going=False,
            fault=f.bad_gradient,
        ),
        Scene("decayed", "collapse", round={"training": decay}),
        Scene("decayed-student", "collapse", "logit", over("logit", **decay)),
        Scene("nan", "divergence", round={"training": {"learning_rate": 1e6}}),
        Scene("nan-gradient", "divergence", "logit", fault=f.bad_gradient),
        Scene("lost", "divergence", fault=f.rate(lambda e, r: r * (factor if e >= late else 1))),
        Scene("shifted-labels", "bad-data", fault=f.images(shift)),
        Scene("shuffled-images", "bad-data", fault=f.images(blank)),
        Scene("no-such-label", "bad-data", fault=f.images(f.wrong_label)),
        Scene(
            "other-images",
            "bad-data",
            round={"seeds": seeds},
            fault=f.images(f.noisy_labels(0.1)),
            seed=1,
        ),
    ]


def _teachers(new: bool) -> list[Scene]:
    """Students of teachers that are not what they should be."""
    short = {"overrides": {"models": {"ResNet20": {"epochs": 1}}}}
    brief = {"overrides": {"models": {"ResNet20": {"epochs": 2}}}} if new else short
    later: dict[str, Any] = {"train": f.unstarted, "own_teacher": True}
    other = "nst" if new else "fitnets"
    return [
        Scene(
            "other-seed",
            "wrong-teacher",
            "logit",
            after=f.edited("run.json", lambda r: r["teacher"].update(seed=77)),
        ),
        Scene(
            "other-accuracy",
            "wrong-teacher",
            other,
            after=f.edited("run.json", lambda r: r["teacher"].update(accuracy=50.0)),
        ),
        Scene(
            "retrained",
            "changed-teacher",
            "logit",
            after=f.edited("result.json", lambda r: r["weights"].update(final=HASH), True),
            own_teacher=True,
        ),
        Scene("moving", "changed-teacher", other, fault=f.moving_teacher),
        Scene("one-epoch", "half-trained-teacher", "logit", short, own_teacher=True),
        Scene("one-epoch-2", "half-trained-teacher", other, brief, own_teacher=True),
        Scene("waits", "blocked", "logit", _broken_teacher(1e6), **later),
        Scene("waits-2", "blocked", other, _broken_teacher(1e7), **later),
    ]


def _broken_teacher(rate: float) -> dict[str, Any]:
    return {"overrides": {"models": {"ResNet20": {"learning_rate": rate}}}}


def _weighed(world: World, new: bool) -> list[Scene]:
    """Distillation terms too large, too small; regularisation too strong; unlike or like runs."""
    convex = {"total": "convex"}
    strong = (
        over("fitnets", alpha=0.99995, **convex) if new else over("fitnets", alpha=0.9999, **convex)
    )
    other = "rkd" if new else "attention_transfer"
    pixels = FEW_PIXELS if other == "attention_transfer" else {}
    smooth, decay = (0.97, 0.08) if new else (0.95, 0.05)
    unequal = {"label_smoothing": 0.1} if not new else {"batch_size": 40}
    return [
        Scene("drowned", "kd-dominates", "fitnets", strong),
        Scene("drowned-2", "kd-dominates", other, over(other, alpha=0.99999, **convex)),
        Scene("inert", "kd-inert", "logit", over("logit", alpha=1e-6, **convex)),
        Scene("inert-2", "kd-inert", other, over(other, alpha=1e-7, **convex)),
        Scene(
            "over-smoothed",
            "over-regularised",
            "logit",
            over("logit", label_smoothing=smooth, alpha=0.1, **convex),
        ),
        Scene(
            "decayed-weights", "over-regularised", other, over(other, weight_decay=decay, **pixels)
        ),
        Scene("unequal", "confounded", "logit", over("logit", **unequal)),
        Scene("unequal-2", "confounded", other, over(other, epochs=12, **pixels)),
        Scene(
            "seed-ignored",
            "identical-curves",
            round={"seeds": list(world.seeds[:2])},
            fault=f.ignored_seed(world.seeds[1], world.seeds[0]),
            seed=1,
        ),
        Scene(
            "seed-ignored-2",
            "identical-curves",
            "logit",
            {"seeds": list(world.seeds[:2]), "teacher_seeds": [world.seeds[0]]},
            f.ignored_seed(world.seeds[1], world.seeds[0]),
            seed=1,
        ),
    ]


def _paced(world: World, new: bool) -> list[Scene]:
    """Runs that began late or ended early or late."""
    short = {"epochs": 4, "schedule": "constant", "learning_rate": 0.01 if new else 0.02}
    step = {"epochs": 4, "schedule": "step", "milestones": [4], "learning_rate": 0.01}
    long = {
        "epochs": 40,
        "train_images": 96,
        "augmentation": [],
        "weight_decay": 0.0,
        "schedule": "constant",
    }
    noisy = f.images(f.noisy_labels(0.4 if new else 0.5))
    late = 5 if new else 4
    return [
        Scene("short", "under-trained", round={"training": short}),
        Scene("short-2", "under-trained", round={"training": step}),
        Scene("overfit", "overfit", round={"training": long}, shared=noisy),
        Scene(
            "overfit-2",
            "overfit",
            round={"training": long | {"learning_rate": 0.1}},
            shared=noisy,
        ),
        Scene(
            "slow",
            "slow-start",
            round={"seeds": list(world.seeds[:2])},
            fault=f.rate(lambda e, r: r * (1e-4 if e < late else 1)),
        ),
        Scene(
            "slow-2",
            "slow-start",
            round={"seeds": list(world.seeds[:2])},
            seed=1,
            fault=f.asleep(4),
        ),
    ]


def healthy(world: World) -> list[Scene]:
    """Rounds in which nothing is wrong; several look like an illness at first."""
    seeds = list(world.seeds) if world is JUDGED else list(world.seeds[:1])
    few = seeds[:1]
    methods = ["logit", "factor_transfer", "attention_transfer", "fitnets", "nst", "rkd"]
    controls = ["pure", "label_smoothing", "self"]

    fields = {"seeds": few, "methods": ["pure", "logit", "attention_transfer"]}

    def quick(name: str, training: dict[str, Any], **more: Any) -> Scene:
        return Scene(name, None, "logit", fields | {"training": training} | more)

    return [
        Scene(
            "methods",
            None,
            round={
                "methods": ["pure", *methods],
                "seeds": seeds,
                "overrides": {
                    "methods": {
                        "factor_transfer": {"paraphraser_epochs": 20},
                        "attention_transfer": FEW_PIXELS,
                    }
                },
            },
            own_teacher=True,
        ),
        Scene("controls", None, round={"methods": controls, "seeds": few}),
        quick("slow-by-warm-up", {"warmup_epochs": 4, "epochs": 12}),
        quick("easy", {"train_images": 800}),
        Scene("noisy", None, "logit", fields, shared=f.images(f.noisy_labels(0.3))),
        quick("few-images", {"train_images": 160, "epochs": 25}),
        quick("constant-rate", {"schedule": "constant", "learning_rate": 0.02, "epochs": 16}),
        quick("fp16", {"precision": "fp16"}),
        quick("smoothed", {"label_smoothing": 0.1, "validation": 160}),
        quick("no-augmentation", {"augmentation": []}),
        *([] if world is MADE else _unseen(quick)),
    ]


def _unseen(quick: Callable[..., Scene]) -> list[Scene]:
    """Another recipe, another schedule and another network than any in the first world."""
    other = {"batch_size": 32, "epochs": 14, "nesterov": True, "weight_decay": 1e-3}
    steps = {"schedule": "step", "milestones": [7, 10], "epochs": 12}
    return [
        quick("other-recipe", other, methods=["pure", "logit", "nst", "rkd"]),
        quick("step-rate", steps),
        quick("other-network", {}, students=["ResNet20"]),
    ]
