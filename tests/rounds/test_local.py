from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from stillhouse.rounds.local import Local
from stillhouse.rounds.progress import Progress
from stillhouse.rounds.survey import Survey
from stillhouse.runs.environment import KEEP_MEMORY

WRITE = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"


def test_workers_keep_freed_memory_unless_the_user_chose_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEEP_MEMORY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")

    def look() -> Survey:
        raise AssertionError("not asked for")

    found = tmp_path / "environment.json"
    command = [sys.executable, "-c", WRITE, str(found)]
    local = Local(look, lambda cells: command, jobs=1, progress=Progress(Console()))
    local._start(0, [])
    assert local.workers[0].process.wait() == 0
    local._reap()
    variables = json.loads(found.read_text())
    assert {name: variables[name] for name in KEEP_MEMORY} == {
        **KEEP_MEMORY,
        "MALLOC_TOP_PAD_": "4096",
    }
