"""`cancel` and `retry` for a submitted round. Both need the submit lock."""

from __future__ import annotations

from collections.abc import Callable

from stillhouse.cluster.scheduler import QueueError, Scheduler
from stillhouse.cluster.store import Store
from stillhouse.rounds.survey import Survey

HELD = "held by `stillhouse cluster cancel`"


def cancel(
    store: Store, scheduler: Scheduler, only: set[str] | None, prolong: Callable[[], None]
) -> tuple[list[str], list[str]]:
    """Cancel the workspace's jobs, or those that train a run of `only`; return ids and errors.

    Without `only` the round is held first, so that no pass submits the jobs again before `retry`.
    """
    if only is None:
        ledger = store.ledger()
        ledger.held = HELD
        store.save(ledger)
    ids = {job.name: job.id for job in scheduler.jobs()}
    cancelled, errors = [], []
    for job in store.jobs(store.ledger()):
        if job.name in ids and (only is None or only & set(job.request.paths)):
            prolong()
            try:
                scheduler.cancel(ids[job.name])
                cancelled.append(ids[job.name])
            except QueueError as error:
                errors.append(error.message)
    return cancelled, errors


def retry(store: Store, survey: Survey, failed: bool) -> list[str]:
    """Lift the hold and the halt; with `failed`, also train failed and stuck runs again.

    Returns those runs.
    """
    ledger = store.ledger()
    again = {}
    if failed:
        for cell in survey.cells:
            past = ledger.past(cell.config.path)
            if cell.state.name == "failed" or past.stuck or past.memory:
                again[cell.config.path] = cell.state.attempts
    ledger.allow_again(again)
    store.save(ledger)
    return list(again)
