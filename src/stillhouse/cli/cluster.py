"""Rounds on a cluster: `submit`, `jobs`, `logs`, `cancel`, `retry`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.common import HERE, OnlyOption, RootOption, RoundArgument, again
from stillhouse.cli.output import Format, say, show
from stillhouse.errors import RunError, unknown_name

if TYPE_CHECKING:
    from stillhouse.cluster.store import Store
    from stillhouse.cluster.submit import Pass, Submitter

SHOWN_LINES = 20


class Group(StrEnum):
    """What one process trains."""

    run = "run"
    cohort = "cohort"


FormatOption = Annotated[Format, typer.Option(help="How the table is written.")]
SiteOption = Annotated[
    str, typer.Option("--site", help="A site profile: a path, or NAME of sites/NAME.toml.")
]


def submit(
    round_: RoundArgument,
    site: SiteOption,
    root: RootOption = HERE,
    group: Annotated[Group, typer.Option(help="What one process trains.")] = Group.run,
    runs_per_gpu: Annotated[int, typer.Option(min=1, help="Processes that share a GPU.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print every script; submit nothing.")
    ] = False,
) -> None:
    """Submit what can be trained now, up to the cap; call it again until the round is done."""
    from stillhouse.cluster.open import open_submitter
    from stillhouse.cluster.store import Locked

    cohorts = group is Group.cohort
    submitter = open_submitter(root, round_, site, cohorts, runs_per_gpu, dry_run, say)
    if dry_run:
        decision, scripts = submitter.scripts()
        for script in scripts:
            say(script)
        _left(decision.left)
        say(f"next: {again('submit', round_, root)} --site {site}")
        return
    try:
        with submitter.store.lock() as prolong:
            done = submitter.run(prolong)
    except Locked as busy:
        say(f"nothing done: {busy.message}")
        return
    _tell(submitter, done)
    say(f"next: {again('status', round_, root)}")
    raise typer.Exit(1 if done.decision.halt else 0)


def jobs(
    round_: RoundArgument, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """Show every job that was submitted, and what became of it."""
    from stillhouse.show.cluster import jobs_table

    show(jobs_table(_store(root, round_)), format, again("status", round_, root))


def logs(
    round_: RoundArgument,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder below experiments/.")],
    root: RootOption = HERE,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = SHOWN_LINES,
    format: FormatOption = Format.rich,
) -> None:
    """Show a run's jobs, the end of its log and the end of its last job's output."""
    from stillhouse.cluster.script import OUTPUT
    from stillhouse.config.expand import expand
    from stillhouse.config.renamed import current_path, folder_of
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.cluster import jobs_table

    workspace, loaded, _ = open_round(root, round_)
    run = current_path(run)
    known = [one.path for one in expand(loaded)]
    if run not in known:
        raise unknown_name("run", run, known)
    store = _store(root, round_)
    show(jobs_table(store, run), format)
    attempts = folder_of(workspace.experiments, run).attempts()
    files = [attempts[-1].log] if attempts else []
    numbers = [number for number in store.numbers() if run in store.job(number).request.paths]
    files += [store.folder(number) / OUTPUT for number in numbers[-1:]]
    for file in [file for file in files if file.exists()]:
        say(f"\n{file}:")
        for line in file.read_text(errors="replace").splitlines()[-lines:]:
            say(f"  {line}")
    say(f"next: {again('status', round_, root)}")


def cancel(round_: RoundArgument, root: RootOption = HERE, only: OnlyOption = None) -> None:
    """Cancel the round's jobs and hold it, or cancel only the jobs of some runs."""
    from stillhouse.cluster import control
    from stillhouse.cluster.scheduler import Scheduler
    from stillhouse.cluster.site import load_site
    from stillhouse.config.expand import expand
    from stillhouse.rounds.survey import select
    from stillhouse.rounds.workspace import open_round

    _, loaded, _ = open_round(root, round_)
    store = _store(root, round_)
    scheduler = Scheduler(load_site(Path(_noted(store)["site"])))
    chosen = {one.path for one in select(expand(loaded), only)} if only else None
    with store.lock() as prolong:
        ids, complaints = control.cancel(store, scheduler, chosen, prolong)
    say(f"cancelled {len(ids)} jobs: {', '.join(ids)}" if ids else "there was no job")
    for complaint in complaints:
        say(complaint, err=True)
    say(f"next: {again('retry' if only is None else 'status', round_, root)}")
    raise typer.Exit(1 if complaints else 0)


def retry(
    round_: RoundArgument,
    root: RootOption = HERE,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also try failed and stuck runs again.")
    ] = False,
) -> None:
    """Lift a hold or a halt, so that the next `submit` goes on."""
    from stillhouse.cluster import control
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round

    workspace, loaded, _ = open_round(root, round_)
    store = _store(root, round_)
    with store.lock():
        tried = control.retry(store, survey(workspace, loaded), failed)
    for path in tried:
        say(f"{path}: will be tried again")
    site = _noted(store)["site"]
    say(f"next: {again('submit', round_, root)} --site {site}")


def _store(root: Path, round_: str) -> Store:
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.workspace import open_round

    workspace, _, _ = open_round(root, round_)
    return Store(workspace.experiments / "jobs")


def _noted(store: Store) -> dict[str, str]:
    noted = store.noted()
    if noted is None:
        raise RunError("nothing was submitted from this workspace", "begin with: stillhouse submit")
    return noted


def _tell(submitter: Submitter, done: Pass) -> None:
    for job, ending in done.closed:
        gained = sum(gain.gained for gain in ending.runs.values())
        reason = f": {ending.reason}" if ending.reason else ""
        say(f"{job.name} ({job.id}) is over, {gained} epochs gained{reason}")
    for job in done.submitted:
        more = f" and {len(job.request.paths) - 1} more" if len(job.request.paths) > 1 else ""
        say(f"submitted {job.name} ({job.id}): {job.request.paths[0]}{more}")
    cap = submitter.terms.site.cap
    say(
        f"{len(done.submitted)} jobs submitted; {done.live + len(done.submitted)} of yours in the "
        f"queue, cap {cap}"
    )
    if done.full:
        say(f"the queue takes no more: {done.full}")
    _left(done.decision.left)
    if done.decision.halt:
        say(f"nothing is submitted: {done.decision.halt}")
        say("mend the cause, then: stillhouse retry ROUND (--failed: failed runs too)")


def _left(left: dict[str, str]) -> None:
    for why, count in Counter(left.values()).most_common():
        say(f"left: {count} {'run' if count == 1 else 'runs'}: {why}")
