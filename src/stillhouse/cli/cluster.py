"""Rounds on a cluster: `cluster submit`, `jobs`, `logs`, `cancel`, `retry` and `check`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    FormatOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    RunArgument,
    SiteOption,
    again,
)
from stillhouse.cli.output import Format, say, show
from stillhouse.errors import RunError, unknown_name

if TYPE_CHECKING:
    from stillhouse.cluster.store import Store
    from stillhouse.cluster.submit import Pass, Submitter

SHOWN_LINES = 20

app = typer.Typer(help="Train rounds as jobs on a cluster.", no_args_is_help=True)


class Group(StrEnum):
    """What one process trains."""

    run = "run"
    cohort = "cohort"


@app.command()
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
    """Submit what can be trained now, up to the cap; call it again until the round is done.

    Example: stillhouse cluster submit rounds/beta.yaml --site campus --dry-run
    """
    from stillhouse.cluster.open import open_submitter
    from stillhouse.cluster.store import Locked

    cohorts = group is Group.cohort
    submitter = open_submitter(root, round_, site, cohorts, runs_per_gpu, dry_run, say)
    if dry_run:
        decision, scripts = submitter.scripts()
        for script in scripts:
            say(script)
        _left(decision.left)
        say(f"next: {again('cluster submit', round_, root)} --site {site}")
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


@app.command()
def jobs(
    round_: RoundArgument, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """Show every job that was submitted, and what became of it.

    Example: stillhouse cluster jobs rounds/beta.yaml
    """
    from stillhouse.show.cluster import jobs_table

    show(jobs_table(_store(root, round_)), format, again("status", round_, root))


@app.command()
def logs(
    round_: RoundArgument,
    run: RunArgument,
    root: RootOption = HERE,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = SHOWN_LINES,
    format: FormatOption = Format.rich,
) -> None:
    """Show a run's jobs, the end of its log and the end of its last job's output.

    Example: stillhouse cluster logs beta Cifar10/logit/ResNet112_to_ResNet56/0 --lines 50
    """
    from stillhouse.cluster.script import OUTPUT
    from stillhouse.config.expand import expand
    from stillhouse.config.renamed import current_path, folder_of
    from stillhouse.rounds.find import open_round
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


@app.command()
def cancel(round_: RoundArgument, root: RootOption = HERE, only: OnlyOption = None) -> None:
    """Cancel the round's jobs and hold it, or cancel only the jobs of some runs.

    Example: stillhouse cluster cancel beta --only dataset=SVHN
    """
    from stillhouse.cluster import control
    from stillhouse.cluster.scheduler import Scheduler
    from stillhouse.cluster.site import load_site
    from stillhouse.config.expand import expand
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import select

    _, loaded, _ = open_round(root, round_)
    store = _store(root, round_)
    scheduler = Scheduler(load_site(Path(_noted(store)["site"])))
    chosen = {one.path for one in select(expand(loaded), only)} if only else None
    with store.lock() as prolong:
        ids, complaints = control.cancel(store, scheduler, chosen, prolong)
    say(f"cancelled {len(ids)} jobs: {', '.join(ids)}" if ids else "there was no job")
    for complaint in complaints:
        say(complaint, err=True)
    say(f"next: {again('cluster retry' if only is None else 'status', round_, root)}")
    raise typer.Exit(1 if complaints else 0)


@app.command()
def retry(
    round_: RoundArgument,
    root: RootOption = HERE,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also try failed and stuck runs again.")
    ] = False,
) -> None:
    """Lift a hold or a halt, so that the next `cluster submit` goes on.

    Example: stillhouse cluster retry beta --failed
    """
    from stillhouse.cluster import control
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey

    workspace, loaded, _ = open_round(root, round_)
    store = _store(root, round_)
    with store.lock():
        tried = control.retry(store, survey(workspace, loaded), failed)
    for path in tried:
        say(f"{path}: will be tried again")
    site = _noted(store)["site"]
    say(f"next: {again('cluster submit', round_, root)} --site {site}")


@app.command()
def check(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A profile: a path, or its name.")],
    root: RootOption = HERE,
    format: FormatOption = Format.rich,
) -> None:
    """Try everything a job will need: commands, queue, Python, packages, data, disk, clock.

    The exit code is 1 if something is wrong.

    Example: stillhouse cluster check campus
    """
    from stillhouse.cluster.check import check_site
    from stillhouse.cluster.site import find_site, load_site

    found = check_site(load_site(find_site(root, site)), root.resolve())
    show(found, format, f"stillhouse cluster submit ROUND --site {site} --dry-run")
    raise typer.Exit(1 if any(row[1] == "BAD" for row in found.rows) else 0)


def _store(root: Path, round_: str) -> Store:
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.find import open_round

    workspace, _, _ = open_round(root, round_)
    return Store(workspace.jobs)


def _noted(store: Store) -> dict[str, str]:
    noted = store.noted()
    if noted is None:
        raise RunError(
            "nothing was submitted from this workspace", "begin with: stillhouse cluster submit"
        )
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
        say("mend the cause, then: stillhouse cluster retry ROUND (--failed: failed runs too)")


def _left(left: dict[str, str]) -> None:
    for why, count in Counter(left.values()).most_common():
        say(f"left: {count} {'run' if count == 1 else 'runs'}: {why}")
