"""Mean and sample standard deviation over seeds: one estimator, everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Literal

from stillhouse.errors import ConfigError

MIN_SEEDS = 3


@dataclass(frozen=True)
class Summary:
    """`n` values, their mean, and their sample standard deviation (ddof = 1; None below n = 3)."""

    n: int
    mean: float | None
    std: float | None

    def text(self, decimals: int = 2) -> str | None:
        """`93.20 ± 0.09`, or `93.20` below three values, or None for none."""
        if self.mean is None:
            return None
        spread = "" if self.std is None else f" ± {self.std:.{decimals}f}"
        return f"{self.mean:.{decimals}f}{spread}"


def summarise(values: Sequence[float]) -> Summary:
    """The summary of some values; of none, `Summary(0, None, None)`."""
    if not values:
        return Summary(0, None, None)
    return Summary(len(values), mean(values), stdev(values) if len(values) >= MIN_SEEDS else None)


def which_epoch(text: str | None) -> Literal["final", "best", "ema"]:
    """`final`, the default, `best` or `ema`. Raises ConfigError for anything else."""
    if text in (None, "final"):
        return "final"
    if text == "best":
        return "best"
    if text == "ema":
        return "ema"
    raise ConfigError(f"--accuracy {text}", "expected final, best or ema")
