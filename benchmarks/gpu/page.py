"""The page of a report: Markdown made from the JSON alone."""

from __future__ import annotations

from typing import Any

Report = dict[str, Any]


def page(report: Report) -> str:
    """The whole page."""
    facts = report["facts"]
    lines = [f"# Measured on {facts.get('gpu') or facts['device']}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [*_checks(report), *_timings(report), *_ratios(report)]
    if report["processes"]:
        lines += _processes(report)
    if report["skipped"]:
        lines += ["", "## Left out", "", *(f"- {what}" for what in report["skipped"])]
    return "\n".join(lines) + "\n"


def _checks(report: Report) -> list[str]:
    failed = [row for row in report["checks"] if row["passed"] is False]
    passed = [row for row in report["checks"] if row["passed"]]
    unjudged = [row for row in report["checks"] if row["passed"] is None]
    return [
        *("", "## Checks", "", f"{len(passed)} passed, {len(failed)} failed."),
        *(f"- failed: {row['name']}: {row['detail']}" for row in failed),
        *(f"- {row['name']}: {row['detail']}" for row in unjudged),
    ]


def _timings(report: Report) -> list[str]:
    rows: list[tuple[object, ...]] = [
        (
            row["student"],
            row["precision"],
            row["mode"] + (", no TF32" if row["tf32"] == "nowhere" else ""),
            row["students"],
            f"{row['ms']:.1f} ({row['ms_least']:.1f}-{row['ms_most']:.1f})",
            _number(row.get("launches"), ".0f"),
            _number(row.get("busy_share"), ".0%"),
            _number(row.get("peak_mib"), ".0f"),
            _number(row.get("predicted_mib"), ".0f"),
        )
        for row in report["timings"]
        if "ms" in row
    ]
    heading = "student | precision | mode | students | ms (least-most) | launches | busy"
    heading += " | peak MiB | predicted"
    return ["", "## Milliseconds per step of all students", "", *_table(heading, rows)]


def _ratios(report: Report) -> list[str]:
    names = ("same_precision", "fp32", "same_with_loader", "fp32_with_loader")
    rows: list[tuple[object, ...]] = [
        (*_what(row, "students"), *(_number(row[f"over_{name}"], ".2f") for name in names))
        for row in report["ratios"]
    ]
    heading = "student | precision | mode | students | same precision | fp32"
    heading += " | same, loader | fp32, loader"
    return [
        *("", "## Times faster than the textbook loop", ""),
        *("Its images are on the device already, or come from a DataLoader of PIL pictures.", ""),
        *_table(heading, rows),
    ]


def _processes(report: Report) -> list[str]:
    rows: list[tuple[object, ...]] = [
        (
            *_what(row, "processes"),
            row.get("failed") or _number(row.get("steps_per_second"), ".2f"),
        )
        for row in report["processes"]
    ]
    heading = "student | precision | mode | processes | cohort steps per second"
    return ["", "## Processes on one GPU", "", *_table(heading, rows)]


def _what(row: dict[str, Any], count: str) -> tuple[object, ...]:
    return tuple(row[key] for key in ("student", "precision", "mode", count))


def _table(heading: str, rows: list[tuple[object, ...]]) -> list[str]:
    columns = heading.count("|") + 1
    return [
        f"| {heading} |",
        "|" + " --- |" * columns,
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None or value is False else format(value, form)
