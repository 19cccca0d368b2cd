from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GIB = 1 << 30
CHILD = "from stillhouse.training.recorder import process_memory; print(process_memory())"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux keeps the peak there")
def test_memory_is_that_of_the_process_and_not_of_the_one_that_started_it() -> None:
    held = bytearray(b"\1") * (2 * GIB)
    found = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, check=True)
    assert len(held) == 2 * GIB
    assert 50_000_000 < int(found.stdout) < GIB
