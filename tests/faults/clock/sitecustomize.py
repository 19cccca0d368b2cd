"""A clock that jumps back by an hour, some seconds after Python starts."""

import os
import time

HOUR = 3600.0
_real, _start = time.time, time.monotonic()


def _jumped() -> float:
    late = time.monotonic() - _start >= float(os.environ["CLOCK_JUMPS_AFTER"])
    return _real() - HOUR * late


time.time = _jumped
