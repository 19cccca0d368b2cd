"""One check, one verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from stillhouse.errors import StillhouseError

Subject = TypeVar("Subject")


class Broken(StillhouseError):
    """A promise of the contract that is not kept."""


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty if the check passed."""

    check: str
    reason: str


def require(kept: bool, broken: str, hint: str = "") -> None:
    """Raise Broken unless a promise is kept."""
    if not kept:
        raise Broken(broken, hint)


def judge(checks: Mapping[str, Callable[[Subject], None]], subject: Subject) -> Iterator[Verdict]:
    """Run every check by its name; an error of the subject's own is a verdict too."""
    for name, check in checks.items():
        try:
            check(subject)
            yield Verdict(name, "")
        except StillhouseError as error:
            yield Verdict(name, str(error))
        except Exception as error:  # noqa: BLE001 - it is foreign code and may raise anything
            yield Verdict(name, f"{type(error).__name__}: {error}")
