from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

BYTES, PAGE, TIMES = 40 << 20, 4096, 5
FAULTS = f"""
import resource, threading
from stillhouse.config.schema import Training
from stillhouse.runs.environment import keep_freed_memory
from stillhouse.training.precision import configure

size = {BYTES}

def fill():
    for _ in range({TIMES}):
        b"x" * size

configure(Training())  # as every process that computes does
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=fill)
thread.start()
thread.join()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(keep_freed_memory(), faults)
"""
OWN = {"MALLOC_TRIM_THRESHOLD_": "131072"}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")
@pytest.mark.parametrize(("own", "keeps"), [({}, True), (OWN, False)])
def test_freed_memory_is_kept_also_by_threads_unless_the_user_chose_otherwise(
    own: dict[str, str], keeps: bool
) -> None:
    of_glibc = ("MALLOC_", "GLIBC_TUNABLES")
    variables = {name: text for name, text in os.environ.items() if not name.startswith(of_glibc)}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, env={**variables, **own}, capture_output=True, check=True)
    kept, faults = done.stdout.split()
    assert kept == str(keeps).encode()
    every_page = TIMES * BYTES // PAGE
    assert int(faults) < every_page / 10 if keeps else int(faults) > every_page / 2
