"""Convert a script run to stillhouse's records. Pure; missing values are left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stillhouse import methods
from stillhouse.config.identity import identity
from stillhouse.config.schema import PURE, RunConfig
from stillhouse.exchange.scripts.logs import Record
from stillhouse.exchange.scripts.script_run import Outcome, ScriptRun, outcome
from stillhouse.exchange.scripts.script_teacher import teacher_facts


def epoch_records(run: ScriptRun, config: RunConfig) -> list[Record]:
    """Return one record per recorded epoch; a pure run's training loss is its cross entropy."""
    records = run.records
    if config.method == PURE:
        for record in records:
            if "total" in record["train"]:
                record["train"] = {"ce": record["train"]["total"], **record["train"]}
    seconds = _seconds_an_epoch(run)
    return [{**record, "time": {"seconds": seconds}} if seconds else record for record in records]


def run_facts(
    run: ScriptRun,
    config: RunConfig,
    found: Outcome,
    runs: dict[str, ScriptRun],
    unrecorded: Iterable[str],
) -> Record:
    """Return the content of `run.json`; `imported` holds, unchanged, everything without a field
    here.

    `runs` are all imported runs by path, among them the teacher; `unrecorded` are the fields of the
    recipe without a record.
    """
    log = run.log
    return {
        "config": config.model_dump(mode="json"),
        "identity": identity(config),
        "teacher": teacher_facts(run, config, runs),
        "unknown": unknown(run, config, unrecorded),
        "imported": {
            "folder": run.found.relative,
            "config": run.config,
            "status": run.status,
            "command": log.command if log else None,
            "started": log.started if log else None,
            "time_zone": log.zone if log else None,
            "seconds": log.seconds if log else None,
            "conflicts": list(found.conflicts),
            "problems": [*run.problems, *unlike(run, config)],
        },
    }


def unknown(run: ScriptRun, config: RunConfig, unrecorded: Iterable[str]) -> list[str]:
    """Return the settings in `config` that are not recorded but stillhouse's defaults."""
    found = [f"training.{name}" for name in unrecorded]
    if config.method != PURE:
        recorded = {*run.config, *config.axes}
        found += ["distillation.alpha"] if "alpha" not in recorded else []
        own = methods.declared(config.method).parameters
        found += [f"parameters.{name}" for name in own if name not in recorded]
    return found


def result_facts(run: ScriptRun, config: RunConfig, attempts: int, metrics: str) -> Record:
    """Return the content of `result.json` of a run that is completed by its own record.

    `metrics` is the hash of its `metrics.jsonl`.
    """
    records = epoch_records(run, config)
    best = max(records, key=lambda record: record["test"]["accuracy"])
    accuracy = best["test"]["accuracy"]
    return {
        "identity": identity(config),
        "imported": True,
        "final": records[-1],
        "best": {
            "epoch": best["epoch"],
            "accuracy": accuracy,
            "chosen_on": "test",
            "test_accuracy": accuracy,
        },
        "weights": {},
        "metrics": metrics,
        "attempts": attempts,
    }


def unlike(run: ScriptRun, config: RunConfig) -> list[str]:
    """Return contradictions between a run's records and its path or the round."""
    recorded = run.config
    expected = {
        "model": config.model,
        "dataset": config.dataset,
        "seed": config.seed,
        "distillation": "none" if config.method == PURE else config.method,
        "teacher_model": config.teacher.model if config.teacher else None,
    }
    if config.method != PURE:
        expected |= {"alpha": config.distillation.alpha, **config.parameters}
    found = [
        f"recorded {name} {recorded[name]!r}, the round says {value!r}"
        for name, value in expected.items()
        if name in recorded and recorded[name] != value
    ]
    epochs = len(run.records)
    if outcome(run).state == "finished" and epochs != config.training.epochs:
        found.append(f"completed with {epochs} epochs, the round has {config.training.epochs}")
    best = (run.status or {}).get("max_acc")
    if (run.metrics or {}).get("test_acc") and best is not None and run.records:
        highest = max(record["test"]["accuracy"] for record in run.records)
        if abs(highest - best) > 0.005:
            found.append(f"status.json has max_acc {best}, metrics.json reaches {highest}")
    return found


def _seconds_an_epoch(run: ScriptRun) -> float | None:
    """Return the mean over the epochs in the log, with evaluation and start.

    None if the time includes more: for a method that first trains a part.
    """
    if methods.declared(run.found.place.method).pretrains or run.seconds is None:
        return None
    return round(run.seconds / len(run.log.epochs), 3) if run.log and run.log.epochs else None


def attempt_status(found: Outcome) -> dict[str, Any]:
    """Return the content of an attempt's `status.json`."""
    return {
        "state": found.state,
        "reason": found.reason,
        **({"code": found.code} if found.code else {}),
        **({"conflicts": list(found.conflicts)} if found.conflicts else {}),
        **({"best_accuracy": found.best} if found.best is not None else {}),
        "epoch": found.epoch,
        "step": 0,
        "imported": True,
    }
