"""Tables of a round with known values, made from a seed."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

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


def made(seeds: int = 3, failed: tuple[str, ...] = (), methods: int = 6) -> Tables:
    """A round of `methods` methods; methods named in `failed` have no valid run."""
    rng = np.random.default_rng(seeds)
    chosen = dict([*METHODS.items()][:methods])
    runs: list[Row] = []
    for seed in range(seeds):
        teacher = f"Cifar10/teacher/ResNet56/{seed}"
        runs.append(_run(teacher, "Teacher", "pure", "teacher", 94.0 + 0.2 * rng.normal(), seed))
        pure = 92.0 + 0.2 * rng.normal()
        runs.append(_run(f"Cifar10/pure/ResNet20/{seed}", "Pure", "pure", "pure", pure, seed))
        for method, (label, gain, *_) in chosen.items():
            accuracy = pure + gain + 0.15 * rng.normal()
            name = f"Cifar10/{method}/ResNet56_to_ResNet20/{seed}"
            runs.append(_run(name, label, method, "method", accuracy, seed))
            if method in failed:
                runs[-1] |= {"state": "failed", "valid": None, "accuracy": None}
    frame = pd.DataFrame(runs)
    frame["valid"] = frame["valid"].astype("boolean")
    return Tables(
        round="made",
        runs=frame,
        measures=_measures(frame, chosen, rng),
        pairs=_pairs(frame, chosen, seeds, rng),
        transfer=_transfer(chosen, failed, seeds),
        test_images={"Cifar10": 10_000},
        classes={"Cifar10": 10},
    )


def _run(name: str, arm: str, method: str, role: str, accuracy: float, seed: int) -> Row:
    return {
        "run": name,
        "dataset": "Cifar10",
        "method": method,
        "student": "ResNet56" if role == "teacher" else "ResNet20",
        "seed": seed,
        "state": "done",
        "valid": True,
        "accuracy": accuracy,
        "role": role,
        "arm": arm,
    }


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


def _transfer(chosen: Row, failed: tuple[str, ...], seeds: int) -> pd.DataFrame:
    rows: list[Row] = []
    for (method, (label, _, gain, _)), layer in product(chosen.items(), LAYERS):
        if method in failed:
            continue
        for quantity, part in (("excess", 1.0), ("specificity", 0.3)):
            half = 0.02 if seeds >= 3 else np.nan
            rows.append(
                {
                    "dataset": "Cifar10",
                    "arm": label,
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
