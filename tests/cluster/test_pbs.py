"""The end-to-end test on an OpenPBS server, for whoever has one: STILLHOUSE_TEST_PBS=1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif("STILLHOUSE_TEST_PBS" not in os.environ, reason="needs a PBS server")
def test_a_round_through_a_real_pbs() -> None:
    script = Path(__file__).parent / "end_to_end.py"
    done = subprocess.run(
        [sys.executable, script, "pbs"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "24 of 24"
