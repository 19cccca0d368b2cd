"""docs/contract.md out of what `make contract` ran: python tools/contract_page.py RESULTS.xml.

RESULTS.xml is pytest's record of the whole product. A row is a method's variant or a network, a
column a group of checks; a cell says how many of the checks passed.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import torch

from stillhouse.runs import environment
from stillhouse.training.contract import declaration, hostile, loss, model

PAGE = Path(__file__).parents[1] / "docs" / "contract.md"
STEP = re.compile(r"a step trains in (\w+)")
ONE = re.compile(r"test_contract\[(.+)\]$")
TABLE = re.compile(r"test_table\[(.+)-(?P<precision>\w+)-True\]$")
STEPS = re.compile(r"test_every_method_and_control_takes_its_steps\[(pair\d)-True\]$")
PAIRS = {"pair0": "ResNet112 teaches MobileNetV2", "pair1": "MobileNetV2 teaches ResNet112"}
HEAD = """\
# The contract, whole

Written by `make contract`; do not edit. Every built-in method and network keeps the contract of
[custom components](custom-components.md#the-contract), each check in each precision between each
pair of networks. The default tests run a share of these, so that every check falls to several
methods. A cell has how many checks passed, of how many. Behind a method's name are its variant and
the options that it was checked with.
"""
LOOP = """\
One epoch of all methods above through the training loop, in one check: in a cohort with all others,
alone, and resumed from a checkpoint inside the epoch. Records and weights of the three are equal
bit for bit.
"""
FOREIGN = """\
Two steps of all methods as a cohort, in one check. SimKD below MobileNetV2, none of whose maps has
its pooled features as mean, is refused with the reason.
"""
Tested = tuple[str, str, bool]  # module, name, whether it passed
Counts = dict[str, dict[str, list[bool]]]


def main(results: Path) -> None:
    """Write the page. Ends with an error if a check did not pass."""
    tests = [*read(results)]
    if failed := [name for _, name, passed in tests if not passed]:
        raise SystemExit(f"{len(failed)} checks did not pass, as {failed[0]}")
    PAGE.write_text(page(tests))


def read(results: Path) -> Iterator[Tested]:
    """Yield every test; one that was skipped did not pass."""
    for case in ElementTree.parse(results).iter("testcase"):
        passed = all(case.find(what) is None for what in ("failure", "error", "skipped"))
        yield case.get("classname", "").rpartition(".")[2], case.get("name", ""), passed


def page(tests: Iterable[Tested]) -> str:
    """The page, from what `read` yields."""
    tests = [*tests]
    machine = environment.machine()
    where = f"{machine['processor']}, torch {torch.__version__}"
    parts = [HEAD, f"{len(tests):,} checks passed, on: {where}.\n"]
    parts += ["## Methods\n", table("Method", grouped(tests, *METHODS))]
    parts += ["## Through the loop\n", LOOP, table("Pair", together(tests, TABLE))]
    parts += ["## Networks of other families\n", FOREIGN, table("Pair", together(tests, STEPS))]
    parts += ["## Networks\n", table("Network", grouped(tests, *NETWORKS))]
    return "\n".join(parts)


def group_of(check: str, otherwise: str) -> str:
    """The column of a check."""
    if step := STEP.match(check):
        return f"Steps in {step[1]}"
    return otherwise


METHODS = (
    "test_methods",
    {
        **{check: group_of(check, "Declaration") for check in declaration.CHECKS},
        **{check: group_of(check, "Loss") for check in loss.CHECKS},
        **{check: group_of(check, "Hostile inputs") for check in hostile.CHECKS},
    },
)
NETWORKS = "test_models", {check: group_of(check, "Outputs and weights") for check in model.CHECKS}


def grouped(tests: Iterable[Tested], module: str, checks: Mapping[str, str]) -> Counts:
    """The results of `test_contract` by component and column; a name is `COMPONENT-CHECK`."""
    found: Counts = defaultdict(lambda: defaultdict(list))
    for where, name, passed in tests:
        if where == module and (match := ONE.match(name)):
            check = max((one for one in checks if match[1].endswith(f"-{one}")), key=len)
            component = match[1].removesuffix(f"-{check}")
            found[f"`{component}`"][checks[check]].append(passed)
    return found


def together(tests: Iterable[Tested], kind: re.Pattern[str]) -> Counts:
    """The results of tests of all methods at once, by pair and precision."""
    found: Counts = defaultdict(lambda: defaultdict(list))
    for _, name, passed in tests:
        if match := kind.match(name):
            column = match.groupdict().get("precision", "Steps")
            found[PAIRS.get(match[1], match[1])][column].append(passed)
    return found


def table(first: str, found: Counts) -> str:
    """A Markdown table: a row for each component, a column for each group."""
    columns = sorted({column for row in found.values() for column in row})
    lines = [f"| {first} | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, row in sorted(found.items()):
        cells = [f"{sum(row[c])} of {len(row[c])}" if c in row else "" for c in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
