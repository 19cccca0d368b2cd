"""Python's search for cycles of objects, paused where thousands of runs are read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the search, as a context or around a function.

    What is read of runs has no cycles, and the search would go through all of it again and again:
    a sixth of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
