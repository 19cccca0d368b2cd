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
    text = with_interval(found.value, found.low, found.high)
    return f"{text} [n/a]" if found.low is None and found.n >= MIN_SEEDS else text


def with_interval(value: float, low: float | None, high: float | None, places: int = 2) -> str:
    """A difference with so many decimals, and its interval if it has one."""
    text = f"{value:+.{places}f}"
    if low is None or high is None:
        return text
    return f"{text} [{low:+.{places}f}, {high:+.{places}f}]"


def p_text(p: float | None) -> str | None:
    """A p-value to three decimals."""
    if p is None:
        return None
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def is_p(p: float | None) -> str | None:
    """A p-value in a sentence: `= 0.034`, `< 0.001`."""
    text = p_text(p)
    return f"< {text[1:]}" if text and text.startswith("<") else f"= {text}"
