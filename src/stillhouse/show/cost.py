"""What a round costs, in words: time as cohorts train it, memory, and what a site should give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from stillhouse.cluster.scheduler import clock
from stillhouse.cluster.site import MARGIN, Resources
from stillhouse.rounds.estimate import Process, clock_seconds, proposal
from stillhouse.rounds.survey import Survey
from stillhouse.show.disk import shown

SAVED = 1.005  # a ratio that is shown as more than 1.00


def cost_note(
    survey: Survey, found: Sequence[Process], jobs: int, relative: Mapping[str, float], again: str
) -> str:
    """Say what is left to train and how long it takes; unknown times stay unknown.

    `found` are the processes that are left, `relative` the cost of each run in runs of the pure
    student, `again` the command that was typed.
    """
    left = [run for one in found for run in one.runs]
    if not left:
        return "cost: nothing is left to train"
    unknown = [run for run in left if run.cost is None]
    seconds = sum(one.seconds for one in found)
    if survey.round.imported:
        return (
            f"cost: {hours(seconds)} for {len(left) - len(unknown)} of the {len(left)} runs that "
            "are left, by the epoch times in the records; for the others they hold none"
        )
    if not unknown:
        return _known(found, jobs, seconds)
    whole = sum(relative[run.path] for run in unknown)
    known = f"; {hours(seconds)} for the others" if len(unknown) < len(left) else ""
    return (
        f"cost: {len(unknown)} runs have no recorded time and cost as much as {whole:.3g} runs of "
        "the pure student, in images x multiplications (3 x 1.7: three runs of 1.7 each); unknown "
        f"in hours: {again} --time{known}"
    )


def _known(found: Sequence[Process], jobs: int, seconds: float) -> str:
    """Say it where the cost of every run is known."""
    longest = max(found, key=lambda one: one.seconds)
    most = max(one.memory for one in found)
    clock = clock_seconds(found, jobs)
    alone = sum(one.alone for one in found)
    count = f"{len(found)} process" + ("es" if len(found) > 1 else "")
    parts = [f"cost: {hours(seconds)} in {count} of runs that are trained together"]
    if jobs > 1 and len(found) > 1:
        parts.append(f"about {hours(clock)} with {jobs} of them at a time (--jobs)")
    if alone > SAVED * seconds:
        parts.append(f"each run alone: {hours(alone)}, {alone / seconds:.2f} times as much")
    if len(found) > 1:
        parts.append(f"the longest takes {hours(longest.seconds)}")
    if most:
        parts.append(f"up to {shown(most)} of memory each")
    return "; ".join(parts)


def site_note(
    found: Sequence[Process], margin: float = MARGIN, given: Resources | None = None
) -> str:
    """Say what a site profile should give, so that every process ends in one job; empty if unknown.

    `found` are the processes of the jobs, `given` is what one of them is asked for now.
    """
    if not found or any(run.cost is None for one in found for run in one.runs):
        return ""
    longest = max(one.seconds for one in found)
    walltime, gigabytes = proposal(found, margin)
    memory = f", memory_gb = {gigabytes}" if gigabytes else ""
    parts = [
        f"site: the longest job takes {hours(longest)} on a machine like the one that was timed; "
        f'to end each in one job, with a quarter to spare: walltime = "{clock(walltime)}"{memory}'
    ]
    if given and longest > given.walltime - margin:
        jobs = ceil(longest / (given.walltime - margin))
        parts.append(f"its walltime of {clock(given.walltime)} makes {jobs} jobs of that")
    if given and gigabytes and gigabytes > given.memory_gb:
        parts.append(f"memory_gb = {given.memory_gb} may be too little")
    return "; ".join(parts)


def hours(seconds: float) -> str:
    """Return seconds, minutes or hours, as exactly as they matter."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
