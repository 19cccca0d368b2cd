"""docs/contract.md is made of the results of `make contract`."""

from __future__ import annotations

from pathlib import Path

import pytest

import contract_page

HOME = "tests.training.contract."
TESTS = [
    ("test_methods", "test_contract[fitnets-two_stage-terms are finite float32 scalars]"),
    ("test_methods", "test_contract[fitnets-two_stage-a step trains in bf16, the same kind]"),
    ("test_methods", "test_contract[fitnets-two_stage-a step trains in bf16, another kind]"),
    ("test_methods", "test_contract[rkd-finite gradients: zero features]"),
    ("test_methods", "test_every_method_is_in_the_table"),
    ("test_runs", "test_table[another kind-fp16-False]"),
    ("test_runs", "test_table[another kind-fp16-True]"),
    ("test_foreign_pairs", "test_every_method_and_control_takes_its_steps[pair1-True]"),
    ("test_models", "test_contract[vgg8-its state survives a file]"),
]


def results(folder: Path, wrong: str = "") -> Path:
    """Pytest's record of `TESTS`; the first has an element that says that it did not pass."""
    cases = [
        f'<testcase classname="{HOME}{where}" name="{name}">{"" if number else wrong}</testcase>'
        for number, (where, name) in enumerate(TESTS)
    ]
    file = folder / "results.xml"
    file.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return file


def test_the_page_counts_what_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_page, "PAGE", tmp_path / "contract.md")
    contract_page.main(results(tmp_path))
    lines = (tmp_path / "contract.md").read_text().splitlines()
    assert "| Method | Hostile inputs | Loss | Steps in bf16 |" in lines
    assert "| `fitnets-two_stage` |  | 1 of 1 | 2 of 2 |" in lines
    assert "| `rkd` | 1 of 1 |  |  |" in lines
    assert "| another kind | 1 of 1 |" in lines
    assert "| MobileNetV2 teaches ResNet112 | 1 of 1 |" in lines
    assert "| `vgg8` | 1 of 1 |" in lines
    assert any(line.startswith("9 checks passed, on: ") for line in lines)


@pytest.mark.parametrize("wrong", ["<failure/>", "<error/>", "<skipped/>"])
def test_no_page_is_written_of_a_check_that_did_not_pass(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract_page, "PAGE", tmp_path / "contract.md")
    with pytest.raises(SystemExit, match=r"1 checks did not pass, as test_contract\[fitnets"):
        contract_page.main(results(tmp_path, wrong))
    assert not contract_page.PAGE.exists()
