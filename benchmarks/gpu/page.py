"""The page of a report: Markdown made from the JSON alone."""

from __future__ import annotations

from typing import Any

Report = dict[str, Any]


def page(report: Report) -> str:
    """The whole page."""
    facts = report["facts"]
    where = facts.get("gpu") or facts["device"]
    lines = [f"# Measured on {where}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    failed = [row for row in report["checks"] if row["passed"] is False]
    passed = [row for row in report["checks"] if row["passed"]]
    lines += ["", "## Checks", "", f"{len(passed)} passed, {len(failed)} failed."]
    lines += [f"- failed: {row['name']}: {row['detail']}" for row in failed]
    unjudged = [row for row in report["checks"] if row["passed"] is None]
    lines += [f"- {row['name']}: {row['detail']}" for row in unjudged]
    lines += ["", "## Milliseconds per step of all students", ""]
    lines += _table(
        "student | precision | mode | students | ms (least-most) | launches | busy | peak MiB",
        [
            (
                row["student"],
                row["precision"],
                row["mode"] + (", no TF32" if row["tf32"] == "nowhere" else ""),
                row["students"],
                f"{row['ms']:.1f} ({row['ms_least']:.1f}-{row['ms_most']:.1f})",
                _number(row.get("launches"), ".0f"),
                _number(row.get("busy_share"), ".0%"),
                _number(row.get("peak_mib"), ".0f"),
            )
            for row in report["timings"]
            if "ms" in row
        ],
    )
    lines += ["", "## Times faster than the textbook loop", ""]
    lines += [
        "Its images are on the device already, or come from a DataLoader of PIL pictures.",
        "",
    ]
    lines += _table(
        "student | precision | mode | students | same precision | fp32 | same, loader "
        "| fp32, loader",
        [
            (
                *(row[key] for key in ("student", "precision", "mode", "students")),
                *(
                    _number(row[f"over_{key}"], ".2f")
                    for key in (
                        "same_precision",
                        "fp32",
                        "same_with_loader",
                        "fp32_with_loader",
                    )
                ),
            )
            for row in report["ratios"]
        ],
    )
    if report["processes"]:
        lines += ["", "## Processes on one GPU", ""]
        lines += _table(
            "student | precision | mode | processes | cohort steps per second",
            [
                (
                    *(row[key] for key in ("student", "precision", "mode", "processes")),
                    row.get("failed") or _number(row.get("steps_per_second"), ".2f"),
                )
                for row in report["processes"]
            ],
        )
    lines += ["", "## Left out", ""] if report["skipped"] else []
    lines += [f"- {what}" for what in report["skipped"]]
    return "\n".join(lines) + "\n"


def _table(heading: str, rows: list[tuple[object, ...]]) -> list[str]:
    columns = heading.count("|") + 1
    return [
        f"| {heading} |",
        "|" + " --- |" * columns,
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None or value is False else format(value, form)
