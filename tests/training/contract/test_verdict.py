"""Many checks that one bug breaks are one report."""

from __future__ import annotations

from pathlib import Path

from stillhouse.plugin import read_plugin
from stillhouse.training.contract import model
from stillhouse.training.contract.model import ModelCase
from stillhouse.training.contract.verdict import Bug, Verdict, bugs, run_checks


def test_checks_are_grouped_by_line_or_by_reason() -> None:
    verdicts = [
        Verdict("a", ""),
        Verdict("b", "KeyError: 'x'", "own.py:3"),
        Verdict("c", "sizes 4 and 8 differ", "own.py:7"),
        Verdict("d", "KeyError: 'x'"),
        Verdict("e", "sizes 2 and 8 differ", "own.py:7"),
        Verdict("f", "a gradient is not finite"),
    ]
    assert bugs(verdicts) == [
        Bug("KeyError: 'x'", "own.py:3", ("b", "d")),
        Bug("sizes 4 and 8 differ", "own.py:7", ("c", "e")),
        Bug("a gradient is not finite", "", ("f",)),
    ]
    assert bugs([Verdict("a", "")]) == []


def test_the_line_is_the_users_however_deep_the_error_arose(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "examples" / "own_model.py").read_text()
    path = tmp_path / "own_model.py"
    path.write_text(text.replace("second.mean(dim=(2, 3))", "second.mean(dim=(2, 3, 4))"))
    (line,) = [n for n, row in enumerate(path.read_text().splitlines(), 1) if "(2, 3, 4)" in row]
    case = ModelCase("own_model", (read_plugin(path),))
    checks = {name: model.CHECKS[name] for name in [*model.CHECKS][:3]}
    first, second, third = run_checks(checks, case)
    assert first.line == second.line == f"{path}:{line}"
    assert first.reason.startswith("IndexError: Dimension out of range")
    assert (third.reason, third.line) == ("", "")
