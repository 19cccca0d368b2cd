"""Rounds on a cluster: `cluster submit`, `jobs`, `logs`, `cancel`, `retry` and `check`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DryRunOption,
    FormatOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    RunArgument,
    SiteOption,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import RunError, unknown_name

if TYPE_CHECKING:
    from stillhouse.cluster.policy import Decision
    from stillhouse.cluster.store import Store
    from stillhouse.cluster.submit import Pass, Submitter
    from stillhouse.config.schema import Round

SHOWN_LINES = 20


class Group(StrEnum):
    """What one process trains."""

    run = "run"
    cohort = "cohort"


def submit(
    round_: RoundArgument,
    site: SiteOption,
    root: RootOption = HERE,
    only: OnlyOption = None,
    group: Annotated[Group, typer.Option(help="What one process trains.")] = Group.run,
    runs_per_gpu: Annotated[int, typer.Option(min=1, help="Processes that share a GPU.")] = 1,
    dry_run: DryRunOption = False,
) -> None:
    """Submit what can be trained now, up to the cap; call it again until the round is done.

    With --dry-run every script is printed; neither data nor a scheduler need to be here.

    Example: stillhouse cluster submit rounds/beta.yaml --site campus --dry-run
    """
    from stillhouse.cluster.open import open_submitter
    from stillhouse.cluster.store import Locked
    from stillhouse.show.cluster import listing

    cohorts = group is Group.cohort
    submitter = open_submitter(root, round_, site, cohorts, runs_per_gpu, dry_run, say, only)
    if dry_run:
        queue, trouble = listing(submitter.terms.site)
        decision, scripts = submitter.scripts(queue or [])
        for script in scripts:
            say(script)
        if trouble:
            say(f"{trouble}; it is taken for empty", err=True)
        _left(decision.left)
        _say_needs(submitter, decision)
        follow(again(f"cluster submit --site {site}", round_, root))
        return
    try:
        with submitter.store.lock() as prolong:
            done = submitter.run(prolong)
    except Locked as busy:
        say(f"nothing done: {busy.message}")
        return
    _tell(submitter, done)
    follow(again("status", round_, root))
    raise typer.Exit(1 if done.decision.halt else 0)


def jobs(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Show every job that was submitted, and what became of it.

    Example: stillhouse cluster jobs rounds/beta.yaml
    """
    from stillhouse.show.cluster import jobs_table

    store, loaded = _open(root, round_)
    show(jobs_table(store, _chosen(loaded, only)), format, again("status", round_, root))


def logs(
    round_: RoundArgument,
    run: RunArgument,
    root: RootOption = HERE,
    lines: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = SHOWN_LINES,
    format: FormatOption = Format.rich,
) -> None:
    """Show a run's jobs, the end of its log and the end of its last job's output.

    For csv, latex and json only the lines are written.

    Example: stillhouse cluster logs beta SVHN/pure/ResNet56/0 --lines 50
    """
    from stillhouse.config.expand import expand
    from stillhouse.config.renamed import current_path
    from stillhouse.show.cluster import jobs_table, last_lines

    run = current_path(run)
    store, loaded = _open(root, round_)
    known = [one.path for one in expand(loaded)]
    if run not in known:
        raise unknown_name("run", run, known)
    found, following = last_lines(store, run, lines), again("status", round_, root)
    if format not in (Format.rich, Format.md):
        show(found, format, following)
        return
    show(jobs_table(store, {run}), format)
    for file, rows in groupby(found.rows, itemgetter(0)):
        say("\n".join((f"\n{file}:", *(f"  {row[2]}" for row in rows))))
    follow(following)


def cancel(round_: RoundArgument, root: RootOption = HERE, only: OnlyOption = None) -> None:
    """Cancel the round's jobs and hold it, or cancel only the jobs of some runs.

    Example: stillhouse cluster cancel beta --only dataset=SVHN
    """
    from stillhouse.cluster import control
    from stillhouse.cluster.scheduler import Scheduler
    from stillhouse.cluster.site import load_site

    store, loaded = _open(root, round_)
    scheduler = Scheduler(load_site(Path(_last_options(store)["site"])))
    with store.lock() as prolong:
        ids, complaints = control.cancel(store, scheduler, _chosen(loaded, only), prolong)
    say(f"cancelled {len(ids)} jobs: {', '.join(ids)}" if ids else "there was no job")
    for complaint in complaints:
        say(complaint, err=True)
    follow(again("cluster retry" if only is None else "status", round_, root))
    raise typer.Exit(1 if complaints else 0)


def retry(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Also try failed and stuck runs again.")
    ] = False,
) -> None:
    """Lift a hold or a halt, so that the next `cluster submit` goes on.

    Example: stillhouse cluster retry beta --failed
    """
    from stillhouse.cluster import control
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.find import open_survey

    workspace, survey, _ = open_survey(root, round_, only)
    store = Store(workspace.jobs)
    local = (
        f"runs that `stillhouse run` trains are tried again after: {again('reset', round_, root)}"
    )
    site = _last_options(store, local)["site"]
    with store.lock():
        tried = control.retry(store, survey, failed)
    for path in tried:
        say(f"{path}: will be tried again")
    follow(again(f"cluster submit --site {site}", round_, root))


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


def _open(root: Path, round_: str) -> tuple[Store, Round]:
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.find import open_round

    workspace, loaded, _ = open_round(root, round_)
    return Store(workspace.jobs), loaded


def _chosen(loaded: Round, only: str | None) -> set[str] | None:
    """The runs that `--only` selects, without their teachers; None: all."""
    from stillhouse.config.expand import expand
    from stillhouse.rounds.survey import choose

    return {one.path for one in choose(expand(loaded), only)} if only else None


def _last_options(
    store: Store, hint: str = "begin with: stillhouse cluster submit"
) -> dict[str, str]:
    if (noted := store.last_options()) is None:
        raise RunError("nothing was submitted from this workspace", hint)
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
        say("fix the cause, then: stillhouse cluster retry ROUND (--failed: failed runs too)")


def _say_needs(submitter: Submitter, decision: Decision) -> None:
    """Say how long the jobs take and what they need, where finished or timed runs tell."""
    from stillhouse.rounds.cost import processes, recorded_costs, timed_costs
    from stillhouse.rounds.timings import Timings
    from stillhouse.show.cost import site_note

    survey, terms = submitter.look(), submitter.terms
    costs = timed_costs(survey, "auto", recorded_costs(survey), Timings())
    found = processes(survey, costs, together=terms.cohorts)
    given = decision.requests[0].resources if decision.requests else None
    if note := site_note(found, terms.site.margin, given):
        say(note)


def _left(left: dict[str, str]) -> None:
    for why, count in Counter(left.values()).most_common():
        say(f"left: {count} {'run' if count == 1 else 'runs'}: {why}")
