"""Differences and p-values as texts."""

from __future__ import annotations

from stillhouse.stats.inference import Difference
from stillhouse.stats.summary import MIN_SEEDS

SHORT = {"paired": "paired", "welch": "Welch"}


def unresolved(gap: Difference | None) -> str:
    """Why a difference of three seeds and more has no interval; else empty."""
    return gap.why if gap and gap.n >= MIN_SEEDS else ""


def interval(found: Difference | None) -> str | None:
    """`+0.54 [+0.21, +0.87]`; below three seeds `+0.54`, else without an interval `+0.54 [n/a]`."""
    if found is None:
        return None
    if found.low is None or found.high is None:
        return f"{found.value:+.2f}" + (" [n/a]" if found.n >= MIN_SEEDS else "")
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def p_text(p: float | None) -> str | None:
    """A p-value to three decimals."""
    if p is None:
        return None
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def is_p(p: float | None) -> str | None:
    """A p-value in a sentence: `= 0.034`, `< 0.001`."""
    text = p_text(p)
    return f"< {text[1:]}" if text and text.startswith("<") else f"= {text}"
