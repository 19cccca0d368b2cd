from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write `round.yaml` into a fresh current folder."""
    monkeypatch.chdir(tmp_path)

    def write_text(text: str) -> Path:
        path = Path("round.yaml")
        path.write_text(text, encoding="utf-8")
        return path

    return write_text
