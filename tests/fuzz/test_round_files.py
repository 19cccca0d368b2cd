"""Damage to round files and published results: they are read as they stand, or refused by line."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

from damaged_files import VALUES, Content, another_kind, damaged, fuzz, replaced
from fake_rounds import write_round
from stillhouse.config.expand import expand
from stillhouse.config.load import check_parameters, load_round
from stillhouse.errors import ConfigError, DataError, StillhouseError
from stillhouse.exchange.published import read_results
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.status import status_table

ROUNDS = Path(__file__).parents[2] / "rounds"
TOKENS = (
    *("!!python/object/apply:os.system [touch x]", "!!binary aGk=", "&a [*a]", "*nowhere", "{"),
    *("|", ">-", "? a", "%YAML 9.9", "---", "...", "<<: *a", "\t", "../../etc", "/etc/passwd"),
    *("9" * 5000, "1e999", "-1", "0", "[]", "{}", '""', "null", "\u202e", "\x85", "a: b: c", "["),
    *(
        "[" * 200,
        "- " * 200,
        "true",
        "1_000",
        "0x10",
        "'",
        '"\\ud800"',
        "# x",
        "no",
        "[pure, pure]",
    ),
    *("nan", "- -", "[pure, pure]"),
)


def misspelt(random: Random, text: str) -> str:
    """A round file after a careless or a malicious edit."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2, 4))):
        index = random.randrange(len(lines))
        line, token = lines[index], random.choice((*TOKENS, *map(str, VALUES)))
        key, colon, _ = line.partition(":")
        match random.choice(("value", "value", "gone", "twice", "indent", "key", "swap", "insert")):
            case "value":
                lines[index] = f"{key}{colon} {token}"
            case "gone":
                lines[index] = ""
            case "twice":
                lines.insert(random.randrange(len(lines)), line)
            case "indent":
                lines[index] = " " * random.randrange(9) + line.lstrip()
            case "key":
                lines[index] = f"{token}: {line.partition(':')[2]}"
            case "swap":
                other = random.randrange(len(lines))
                lines[index], lines[other] = lines[other], lines[index]
            case _:
                lines.insert(index, token)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("name", "share"), [("tiny", 120), ("digits", 40), ("beta", 20)])
def test_round_files(name: str, share: int, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path = tmp_path / "rounds" / f"{name}.yaml"
    write_round(path, sweep={"temperature": [1.0, 4.0]}, known_issues=["none: 'yet'"])
    if name != "tiny":
        shutil.copy(ROUNDS / path.name, path)
    content = path.read_bytes()

    def case(random: Random) -> str:
        kind = random.choice(("misspelt", "misspelt", "misspelt", "damaged", "kind"))
        other: Content = damaged(random, content, *(f.read_bytes() for f in ROUNDS.glob("b*.yaml")))
        if kind == "misspelt":
            other = misspelt(random, content.decode()).encode(errors="surrogatepass")
        elif kind == "kind" and random.random() < 0.3:
            other = another_kind(random, (tmp_path,))
        with replaced(path, other):
            try:
                round_ = load_round(path)
                check_parameters(round_, path)
            except ConfigError as error:
                first, *more = error.message.splitlines()
                assert str(path) in first and all(str(path) in line for line in more)
                return "refused"
            try:
                survey = survey_round(Workspace(tmp_path), round_)
            except StillhouseError as error:
                assert error.message.startswith("teachers_from:")
                return "no such teachers"
        assert [cell.config for cell in survey.cells] == expand(round_)
        for cell in survey.cells:
            assert cell.folder.path.resolve().is_relative_to(tmp_path.resolve() / "experiments")
        status_table(survey)
        return "read"

    fuzz(pytestconfig, f"{name}.yaml", share, case)


def test_published_results(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path = Path(shutil.copy(ROUNDS / "alpha_results.csv", tmp_path))
    content = path.read_bytes()

    def case(random: Random) -> str:
        other: Content = damaged(random, content)
        if random.random() < 0.1:
            other = another_kind(random, (tmp_path,))
        with replaced(path, other):
            try:
                rows = read_results(path)
            except DataError as error:
                assert str(path) in error.message
                return "refused"
        assert all(row.accuracy is None or 0 <= row.accuracy <= 100 for row in rows)
        return "read"

    fuzz(pytestconfig, "results.csv", 20, case)
