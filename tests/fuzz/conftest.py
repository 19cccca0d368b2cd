from __future__ import annotations

import pytest

from damaged_files import COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How the cases of every target ended."""
    counts = terminalreporter.config.stash.get(COUNTS, {})
    for target, outcomes in sorted(counts.items()):
        ended = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
        terminalreporter.write_line(f"fuzz {target}: {outcomes.total()} cases: {ended}")
    if counts:
        total = sum(outcomes.total() for outcomes in counts.values())
        terminalreporter.write_line(f"fuzz: {total} cases in all")
