"""Disk space in words: what a round needs against what is free, and what a workspace holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stillhouse.runs.disk import CHECKPOINTS, PARTS, RECORDS, REPRESENTATIONS, WEIGHTS, Size
from stillhouse.tables import Cell, Table, from_rows

STAY = (WEIGHTS, RECORDS, PARTS)
WARN_ABOVE = 0.8  # of what is free
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def disk_note(
    sizes: Mapping[str, Mapping[str, int]], left: Iterable[Iterable[str]], room: int
) -> str:
    """Say what a round needs on disk by the predicted `sizes` of its runs (by path).

    `left` are the runs still to train, in the groups that train together, `room` the free bytes.
    Warns where they need more than 80 % of it.
    """
    groups = [[sizes[path] for path in group if path in sizes] for group in left]
    unwritten = sum(one[kind] for group in groups for one in group for kind in STAY)
    whole = sum(one[kind] for one in sizes.values() for kind in STAY)
    while_training = max((sum(one[CHECKPOINTS] for one in group) for group in groups), default=0)
    more = sum(one[REPRESENTATIONS] for one in sizes.values())
    parts = [f"disk: {shown(whole)} when all is trained"]
    if groups:
        parts.append(f"{shown(unwritten)} of it still to be written")
        parts.append(f"{shown(while_training)} more for the checkpoints of each worker")
    parts += [f"{shown(more)} more for `extract`", f"{shown(room)} are free here"]
    share = (unwritten + while_training) / max(room, 1)
    if groups and share > WARN_ABOVE:
        parts.append(
            f"warning: training needs {share:.0%} of what is free: free space, take another "
            "--root, or set `keep: {students: final, best: false}`"
        )
    return "; ".join(parts)


def disk_table(found: Mapping[str, Size], room: int, numbers: bool = False) -> Table:
    """A row per kind of file in a workspace, the largest first, and what is free."""
    order = sorted(found.items(), key=lambda item: -item[1].bytes)
    if numbers:
        rows: list[dict[str, Cell]] = [
            {"kind": kind, "files": one.files, "bytes": one.bytes} for kind, one in order
        ]
        return from_rows("Disk space of the workspace", rows, ())
    total = sum(one.bytes for one in found.values())
    return Table(
        f"Disk space of the workspace: {shown(total)}",
        ("Kind", "Files", "Size"),
        tuple((kind, one.files, shown(one.bytes)) for kind, one in order),
        (f"{shown(room)} are free here",),
        empty="nothing is written yet",
    )


def shown(size: float) -> str:
    """As in `3.2 MB`: three digits at most, units of 1,000."""
    unit = 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
