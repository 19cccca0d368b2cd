from __future__ import annotations

import gc

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.collector import without_collector
from stillhouse.errors import ConfigError
from stillhouse.rounds import find


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_paused_and_then_as_it_was(before: bool) -> None:
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match="inside"), without_collector():
            assert not gc.isenabled()
            raise ValueError("inside")
        assert gc.isenabled() is before
    finally:
        gc.enable()


@pytest.mark.parametrize("command", ["plan", "status", "table", "observe"])
def test_commands_that_read_thousands_of_runs_pause_it(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []

    def opened(*_: object) -> None:
        states.append(gc.isenabled())
        raise ConfigError("enough")

    monkeypatch.setattr(find, "open_round", opened)
    CliRunner().invoke(app, [command, "tiny"])
    assert (states, gc.isenabled()) == ([False], True)
