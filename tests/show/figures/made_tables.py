"""Tables of a round with known values, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from stillhouse.represent.store import Header, Representations, Rows
from stillhouse.show.figures.drawn import Tables

LAYERS = ("layer1", "layer2", "layer3")
METHODS = {
    "logit": ("Logit", 0.4, 0.00, 3.0),
    "factor_transfer": ("Factor transfer", 0.9, 0.10, 0.5),
    "attention_transfer": ("Attention transfer", 0.3, 0.06, 0.3),
    "fitnets": ("FitNets", -0.4, 0.15, 0.2),
    "rkd": ("RKD", 0.1, 0.03, 1.0),
    "nst": ("NST", 0.05, -0.02, 0.1),
}
Row = dict[str, Any]


ALPHAS = (0.25, 0.5, 0.75, 0.95)
CLASSES = 10


def made(
    seeds: int = 3,
    failed: tuple[str, ...] = (),
    methods: int = 6,
    alphas: tuple[float, ...] = (),
    states: tuple[str, ...] = (),
    classes: int = CLASSES,
) -> Tables:
    """A round of `methods` methods; methods named in `failed` have no valid run.

    With `alphas` each method has an arm per value. The last runs are in `states`, not done.
    """
    rng = np.random.default_rng(seeds)
    chosen = dict([*METHODS.items()][:methods])
    if methods > len(METHODS):
        chosen |= {f"own{i}": (f"Own method {i}", 0.1, 0.0, 0.1) for i in range(methods - 6)}
    arms = _arms(chosen, alphas)
    runs: list[Row] = []
    for seed in range(seeds):
        teacher = f"Cifar10/teacher/ResNet56/{seed}"
        runs.append(_run(teacher, "Teacher", "pure", "teacher", 94.0 + 0.2 * rng.normal(), seed))
        pure = 92.0 + 0.2 * rng.normal()
        runs.append(_run(f"Cifar10/pure/ResNet20/{seed}", "Pure", "pure", "pure", pure, seed))
        for label, (method, gain, alpha, _) in arms.items():
            accuracy = pure + gain + 0.15 * rng.normal()
            name = f"Cifar10/{method}{alpha or ''}/ResNet56_to_ResNet20/{seed}"
            runs.append(_run(name, label, method, "method", accuracy, seed))
            runs[-1]["axis_alpha"] = alpha
            if method in failed:
                runs[-1] |= {"state": "failed", "valid": None, "accuracy": None}
    for run, state in zip(reversed(runs), states, strict=False):
        done = state == "at chance"
        run |= {"state": "done" if done else state, "valid": False if done else None}
        run["accuracy"] = 10.0 if done else None
    frame = pd.DataFrame(runs)
    frame["valid"] = frame["valid"].astype("boolean")
    frame["best_accuracy"] = frame["accuracy"] + 0.1
    return Tables(
        round="made",
        runs=frame,
        measures=_measures(frame, chosen, rng),
        pairs=_pairs(frame, chosen, seeds, rng),
        transfer=_transfer(frame, chosen, seeds),
        test_images={"Cifar10": 10_000},
        classes={"Cifar10": classes},
        epochs=_epochs(frame),
        marks=pd.DataFrame(
            [{"run": run, "epoch": 2, "code": "divergence"} for run in _not_valid(frame)],
            columns=["run", "epoch", "code"],
        ),
        extracted=_extracted(frame, classes),
        controls=frozenset({"nst"}),
        labels={"Cifar10": "CIFAR-10"},
    )


def _arms(chosen: Row, alphas: tuple[float, ...]) -> dict[str, tuple[str, float, Any, float]]:
    """By label: method, gain, value of alpha, specific agreement."""
    if not alphas:
        return {
            label: (name, gain, None, copied) for name, (label, gain, _, copied) in chosen.items()
        }
    return {
        f"{label} alpha={alpha:g}": (name, gain * (0.5 + alpha), alpha, copied)
        for name, (label, gain, _, copied) in chosen.items()
        for alpha in alphas
    }


def _not_valid(runs: pd.DataFrame) -> list[str]:
    return [*runs[runs["valid"].isin([False]) | (runs["state"] == "failed")]["run"]]


def _run(name: str, arm: str, method: str, role: str, accuracy: float, seed: int) -> Row:
    return {
        "run": name,
        "dataset": "Cifar10",
        "method": method,
        "student": "ResNet56" if role == "teacher" else "ResNet20",
        "teacher": None if role != "method" else "ResNet56",
        "seed": seed,
        "state": "done",
        "valid": True,
        "accuracy": accuracy,
        "role": role,
        "arm": arm,
        "axis_alpha": None,
    }


def _epochs(runs: pd.DataFrame) -> pd.DataFrame:
    """Eight epochs of each run that has started, two of one that failed."""
    started = runs[~runs["state"].isin(["queued", "waiting"])]
    return pd.DataFrame(
        [
            {
                "run": run,
                "epoch": epoch,
                "train_accuracy": 90 - 60 / epoch,
                "test_accuracy": 88 - 60 / epoch if state == "done" else 10.0,
            }
            for run, state in zip(started["run"], started["state"], strict=True)
            for epoch in range(1, 9 if state == "done" else 3)
        ]
    )


def _extracted(runs: pd.DataFrame, classes: int) -> Callable[[str], Representations | None]:
    """Features around class means; each run has its own rotation and order of channels."""
    names = {run: i for i, run in enumerate(runs["run"])}
    labels = np.arange(4 * max(classes, 100)) % classes

    def opened(run: str) -> Representations | None:
        if run not in names:
            return None
        shared, own = np.random.default_rng(0), np.random.default_rng(names[run])
        x = shared.normal(size=(classes, 8))[labels] + 0.3 * own.normal(size=(len(labels), 8))
        x = x @ np.linalg.qr(own.normal(size=(8, 8)))[0]
        logits = 4 * np.eye(classes)[labels] + 2 * own.normal(size=(len(labels), classes))
        rows = Rows(
            {layer: x.astype(np.float32) for layer in LAYERS},
            logits.astype(np.float32),
            labels,
            np.arange(len(labels)),
        )
        digest = "0" * 64
        header = Header(run, "Cifar10", digest, digest, "final", 8, digest, "0", "cpu")
        return Representations(header, rows, rows)

    return opened


def _measures(runs: pd.DataFrame, chosen: Row, rng: np.random.Generator) -> pd.DataFrame:
    rows: list[Row] = []
    levels = {"participation_ratio": 3.0, "effective_rank": 6.0, "pca_95": 8.0, "twonn": 9.0}
    levels |= {"linear_probe": 40.0, "knn_probe": 38.0}
    for run in runs.to_dict("records"):
        fixed = {"dataset": "Cifar10", "run": run["run"]}
        shift = {"teacher": 1.5}.get(run["role"], 1.0)
        for depth, layer in enumerate(LAYERS):
            for name, level in levels.items():
                value = level * shift * (1 + 0.4 * depth) + 0.1 * rng.normal()
                scale = {"scale": 1.0} if name == "twonn" else {}
                rows.append({**fixed, "layer": layer, "measure": name, "value": value, **scale})
        if run["role"] != "teacher":
            extra = chosen[run["method"]][3] if run["method"] in chosen else 0.0
            kind = "own_teacher" if run["role"] == "method" else "pure_teacher"
            rows.append(
                {
                    **fixed,
                    "layer": "logits",
                    "measure": "agreement",
                    "value": 90.5 + extra + 0.2 * rng.normal(),
                    "teacher": f"Cifar10/teacher/ResNet56/{run['seed']}",
                    "kind": kind,
                }
            )
    return pd.DataFrame(rows)


def _pairs(runs: pd.DataFrame, chosen: Row, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    rows: list[Row] = []
    for run in runs.to_dict("records"):
        if run["role"] == "teacher":
            continue
        gain = chosen[run["method"]][2] if run["method"] in chosen else 0.0
        for a, b in product(range(3), range(3)):
            own = "own_teacher" if run["role"] == "method" else "pure_teacher"
            rows.append(
                {
                    "dataset": "Cifar10",
                    "run_a": run["run"],
                    "layer_a": LAYERS[a],
                    "run_b": f"Cifar10/teacher/ResNet56/{run['seed']}",
                    "layer_b": LAYERS[b],
                    "measure": "linear_cka",
                    "value": 0.8 - 0.2 * abs(a - b) + gain * (a == b) + 0.01 * rng.normal(),
                    "kind": own if a == b else "cross_layer",
                }
            )
    for seed, layer in product(range(1, seeds), LAYERS):
        rows.append(
            {
                "dataset": "Cifar10",
                "run_a": f"Cifar10/teacher/ResNet56/{seed}",
                "layer_a": layer,
                "run_b": "Cifar10/teacher/ResNet56/0",
                "layer_b": layer,
                "measure": "linear_cka",
                "value": 0.92,
                "kind": "teacher_teacher",
            }
        )
    return pd.DataFrame(rows)


def _transfer(runs: pd.DataFrame, chosen: Row, seeds: int) -> pd.DataFrame:
    rows: list[Row] = []
    valid = runs[runs["valid"].fillna(False) & (runs["role"] == "method")]
    arms = dict(zip(valid["arm"], valid["method"], strict=True))
    for (arm, method), layer in product(arms.items(), LAYERS):
        gain = chosen[method][2]
        for quantity, part in (("excess", 1.0), ("specificity", 0.3)):
            half = 0.02 if seeds >= 3 else np.nan
            rows.append(
                {
                    "dataset": "Cifar10",
                    "arm": arm,
                    "layer": layer,
                    "measure": "linear_cka",
                    "quantity": quantity,
                    "n": seeds,
                    "value": part * gain,
                    "low": part * gain - half,
                    "high": part * gain + half,
                }
            )
    return pd.DataFrame(rows)
