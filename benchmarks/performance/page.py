"""The page docs/performance.md and its plots, made from the JSON alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.performance.pairs import Row, middle, ratios
from benchmarks.performance.tables import table

Report = dict[str, Any]
COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#8172b3")  # of machines
HEAD = """# Performance

Written by `make bench` from `performance.json`; do not edit. Every ratio is that of processor
seconds on one thread, of interleaved pairs: the median, the least and the most of the pairs. "Times
as fast" above 1 means that stillhouse is faster. `make bench-quick` repeats some of them in under
three minutes and fails where one fell by more than a quarter.
"""
SECTIONS = {
    "round-cost": (
        "What a round costs",
        "A step of seven students (pure and six methods) as a cohort, against seven steps of a "
        "textbook loop: one run at a time, eager, images through PIL and torchvision, the teacher "
        "asked in every run, with the same code of the methods and the same precision, or fp32. "
        "Large: ResNet112 teaches ResNet56; small: ResNet20 teaches ResNetBaby. Batches of 128.",
    ),
    "torchdistill": (
        "Against torchdistill",
        "One method, set up as its documentation says, at the same precision (bf16 by autocast); "
        "small pair.",
    ),
    "convolutions": (
        "How near a step is to its convolutions",
        "The share of a student's step that its convolutions alone take: the same shapes, layout "
        "and precision in a bare loop, forward and both gradients. One pure student.",
    ),
    "beside": (
        "Where the time of training goes",
        "Shares of the time of training, from `run --profile`: loading and augmentation; checks of "
        "finite values, sums and hashes; records and checkpoints. Then those of the mathematics. "
        "An epoch of 38,400 images in batches of 128.",
    ),
    "evaluation": (
        "Evaluation without page faults",
        "1,000 images through a ResNet20 in a process that keeps freed memory, as workers do, "
        "against one that returns it to the system.",
    ),
    "growth": (
        "How a cohort grows",
        "A step of so many students with logit distillation, over a step of one.",
    ),
    "images": (
        "How an epoch grows with the images",
        "An epoch of one student with logit distillation over that of the fewest images. The "
        "memory is the largest of its process.",
    ),
    "data": (
        "The path of the data",
        "A batch of 128 cropped and flipped images, against torchvision's transforms on PIL images "
        "in the same process.",
    ),
    "commands": (
        "Commands over many finished runs",
        "Processor seconds and the peak memory of the command's process: without the index (cold), "
        "and once nothing has changed (warm). `plan-new` is `plan` of the same round before "
        "anything is trained; cold, it measures the sizes of the networks.",
    ),
}


def write(report: Report, folder: Path) -> None:
    """Write the page and its plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance.md").write_text(page(report, plots(report, folder)))


def page(report: Report, pictures: dict[str, str]) -> str:
    """Return the page; `pictures` are the files of the plots by part, relative to it."""
    lines = [HEAD, *_machines(report)]
    for part, (title, meaning) in SECTIONS.items():
        rows = [row for row in report["rows"] if row["part"] == part]
        if not rows:
            continue
        lines += [f"## {title}", "", meaning, ""]
        if part in pictures:
            lines += [f"![{title}]({pictures[part]})", ""]
        several = len(by_machine(report["rows"])) > 1
        for machine, own in by_machine(rows).items():
            lines += [f"On {machine}:", ""] if several else []
            lines += [*table(part, own), ""]
            everything = by_machine(report["rows"])[machine]
            if part == "growth" and (text := bounds(everything)):
                lines += [text, ""]
    return "\n".join(lines)


def by_machine(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the rows of each machine, `AMD EPYC, 2 cores`, in the order of the first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        machine = f"{row['by']['processor']}, {row['by']['cores']} cores"
        found.setdefault(machine, []).append(row)
    return found


def bounds(rows: list[Row]) -> str:
    """Return what bounds the ratios of the small pair in fp32; empty if a row is missing."""
    seconds = {
        (row["part"], row["name"]): [
            statistics.median(side) for side in zip(*row["pairs"], strict=True)
        ]
        for row in rows
        if row.get("pairs")
    }
    names = ("round-cost", "convolutions")
    try:
        (cohort, others), (_, bare) = (seconds[part, "small pair, fp32"] for part in names)
        one, seven = (seconds["growth", name][0] for name in ("1 student", "7 students"))
        _, library = seconds["torchdistill", "logit, 1 student, fp32"]
    except KeyError:
        return ""
    each = (seven - one) / 6
    shared = one - each
    return (
        "What bounds the ratios above, for the small pair in fp32: one student, its teacher and "
        f"its data take {one:.3f} s a step, each further student {each:.3f} s, of which its bare "
        f"convolutions are {bare:.3f} s. So passes of the networks, in PyTorch's kernels, are "
        f"{100 * seven / cohort:.0f} % of the cohort's step; the rest is the methods' own. If that "
        f"cost nothing, a cohort would be {others / seven:.2f} times as fast as the textbook loop, "
        f"with nothing but the students' convolutions {others / (shared + 7 * bare):.2f} times. "
        f"A single run shares nothing: torchdistill takes {library:.3f} s for the same passes, so "
        f"at most {100 * (1 - one / library):.0f} % of its step can be saved beside them."
    )


def _machines(report: Report) -> list[str]:
    """Return a line for each machine and version that rows were measured with."""
    found = dict.fromkeys(
        f"- {by['processor']}, {by['cores']} cores, Python {by['python']}, torch {by['torch']}, "
        f"code {by['source'][:12]}" + (" (a dry run: means nothing)" if by["dry_run"] else "")
        for by in (row["by"] for row in report["rows"])
    )
    return ["Measured on:", "", *found, ""]


def plots(report: Report, folder: Path) -> dict[str, str]:
    """Draw ratios of the round's cost, and the growth of a cohort; return their files."""
    found = {}
    cost = [row for row in report["rows"] if row["part"] == "round-cost" and "pairs" in row]
    growth = [row for row in report["rows"] if row["part"] == "growth" and "pairs" in row]
    if cost:
        found["round-cost"] = _draw(folder, "round-cost", lambda axes: _bars(axes, cost))
    if growth:
        found["growth"] = _draw(folder, "growth", lambda axes: _line(axes, growth))
    return found


def _draw(folder: Path, name: str, draw: Callable[[Any], None]) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    file = folder / "images" / f"performance-{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    return f"images/{file.name}"


def _bars(axes: Any, rows: list[Row]) -> None:
    """Draw the median ratio of each row, with the range of its pairs; a colour per machine."""
    names, machines = [*dict.fromkeys(row["name"] for row in rows)], by_machine(rows)
    height = 0.8 / len(machines)
    for number, (machine, own) in enumerate(machines.items()):
        places = [names.index(row["name"]) + height * number for row in own]
        values = [middle(row) for row in own]
        below = [middle(row) - min(ratios(row)) for row in own]
        above = [max(ratios(row)) - middle(row) for row in own]
        bars = {"height": height, "color": COLOURS[number % len(COLOURS)], "label": machine}
        axes.barh(places, values, xerr=[below, above], ecolor="#333333", capsize=2, **bars)
    axes.axvline(1, color="#333333", linewidth=0.8, linestyle=":")
    axes.set_yticks([place + (0.8 - height) / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("times as fast as the textbook loop")
    if len(machines) > 1:
        axes.figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)


def _line(axes: Any, rows: list[Row]) -> None:
    """Draw a cohort's step over that of one student, beside what separate runs would take."""
    counts = sorted({row["students"] for row in rows})
    axes.plot(counts, counts, color="#999999", linestyle=":", label="each run alone")
    machines = by_machine(rows)
    for number, (machine, own) in enumerate(machines.items()):
        points = sorted((row["students"], 1 / middle(row)) for row in own)
        label = f"a cohort, {machine}" if len(machines) > 1 else "a cohort"
        axes.plot(
            *zip(*points, strict=True), "o-", color=COLOURS[number % len(COLOURS)], label=label
        )
    axes.set_xticks(counts)
    axes.set_xlabel("students in a cohort")
    axes.set_ylabel("steps of one student")
    axes.legend(frameon=False)
