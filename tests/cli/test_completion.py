"""Tab completion in a shell, as `stillhouse --install-completion` sets it up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse.cli.main import VERBS

VERB = [name for verbs in VERBS.values() for name in verbs]


def completed(*words: str) -> list[str]:
    """What bash is offered for the last word."""
    asked = {
        "_STILLHOUSE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["stillhouse", *words]),
        "COMP_CWORD": str(len(words)),
    }
    command = [sys.executable, "-m", "stillhouse"]
    done = subprocess.run(
        command, env=os.environ | asked, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_verbs_options_and_groups_are_completed() -> None:
    assert completed("re") == [name for name in VERB if name.startswith("re")]
    assert completed("list", "r") == ["runs"]
    assert completed("archive", "--pa") == ["--partial", "--pack"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_takes_the_script(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "stillhouse", "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (tmp_path / "complete.sh").write_text(shown.stdout)
    script = f"source {tmp_path / 'complete.sh'} && complete -p stillhouse"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "_stillhouse_completion" in done.stdout, done.stderr
