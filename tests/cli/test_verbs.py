"""What the command line offers: its verbs, their examples and options, old and mistyped verbs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from commands import ALL, TREE, commands
from fake_rounds import PURE, Answer
from stillhouse.cli.main import VERBS, app
from stillhouse.cli.old import OPTIONS, RENAMED, SYNONYMS, current_words, meant

ROOT = Path(__file__).parents[2]
ALPHA, BETA = str(ROOT / "rounds" / "alpha.yaml"), str(ROOT / "rounds" / "beta.yaml")
Call = Callable[..., Answer]


def parsed(words: list[str]) -> str:
    """The command that takes these words, all of them; nothing is run."""
    tree, called = get_command(app), []

    def noted(name: str) -> Callable[..., None]:
        return lambda **_: called.append(name)

    for name, command in commands(tree):
        command.callback = noted(name)
    tree.main(args=words, prog_name="stillhouse", standalone_mode=False)
    (found,) = called
    return found


def examples(name: str) -> list[str]:
    """The command lines that a command's help gives, without the program's name."""
    text = ALL[name].help.replace("\n", " ")
    return re.findall(r"Example: stillhouse (.+?)(?:  |$)", text)


def test_the_verbs_and_their_groups() -> None:
    assert {panel: list(verbs) for panel, verbs in VERBS.items()} == {
        "Train": ["plan", "run", "watch", "status", "reset"],
        "Results": ["table", "observe", "compare", "doctor", "verify"],
        "Analysis": ["extract", "analyze", "report", "archive"],
        "Material": ["list", "check", "data", "import"],
        "Cluster": ["cluster"],
    }
    assert sum(map(len, VERBS.values())) <= 20
    assert [name for name, command in TREE.commands.items() if command.hidden] == ["train"]


def test_train_without_runs_names_run(call: Call) -> None:
    answer = call("train", "tiny")
    assert answer.code == 2 and "stillhouse run tiny" in answer.err


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_that_can_be_typed(name: str) -> None:
    found = examples(name)
    assert found
    assert [parsed(example.split()) for example in found] == [name] * len(found)


def test_an_example_stands_in_one_line_of_80_columns(call: Call, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ALL:
        assert examples(name)[0] in call(*name.split(), "--help").out, name


CHEAP = {name: one for name in ALL for one in examples(name) if "digits" in one}


@pytest.mark.parametrize(
    "name", [n for n in CHEAP if n not in ("run", "watch", "extract", "archive")]
)
def test_an_example_with_digits_runs(
    call: Call, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    words = CHEAP[name].replace("rounds/", f"{ROOT}/rounds/").split()
    assert call(*words, "--root", str(tmp_path)).code == 0


def test_an_option_means_the_same_everywhere() -> None:
    # Of import, the workspace is a new one; analyze writes pictures, no tables.
    other = {("import", "--root"), ("analyze", "--format"), ("import", "--as"), ("reset", "--as")}
    texts: dict[str, set[tuple[str, str]]] = {}
    for name, command in ALL.items():
        for one in command.params:
            if (option := one.opts[0]).startswith("--") and (name, option) not in other:
                texts.setdefault(option, set()).add((one.help, str(one.default)))
    assert [option for option, found in texts.items() if len(found) > 1] == []


@pytest.mark.parametrize("name", ALL)
def test_a_command_of_a_round_takes_a_part_of_it_and_a_root(name: str) -> None:
    options = {one.opts[0] for one in ALL[name].params}
    rounds = [one.metavar for one in ALL[name].params if one.metavar in ("ROUND", "[RUN|ROUND]")]
    if rounds:
        assert "--root" in options
        # A log is of one RUN; a report and an archive are of the whole round.
        assert ("--only" in options) is (name not in ("cluster logs", "report", "archive"))


def test_internal_options_are_out_of_sight(call: Call) -> None:
    shown = " ".join(call(*name.split(), "--help").out for name in ALL)
    for option in ("--identity", "--parent", "--until"):
        assert option not in shown


ARGUMENTS = {
    "preflight": f"{BETA} --device cpu",
    "power": "--sd 0.3",
    "unlock": "tiny",
    "diff": f"{ALPHA} {BETA}",
    "terms": f"{BETA} --fit-epochs 2",
    "figure": "tiny --kind svg",
    "methods": "",
    "models": "--format csv",
    "datasets": "",
    "explain": "logit --round tiny",
    "submit": "tiny --site campus --dry-run",
    "jobs": "tiny",
    "logs": f"tiny {PURE}/0",
    "cancel": "tiny",
    "retry": "tiny --failed",
    "site check": "campus",
}
LONG = ("preflight", "terms", "submit", "explain")  # trains, or times steps


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_verb_does_what_the_new_one_does(call: Call, old: str) -> None:
    words, notice = current_words([*old.split(), *ARGUMENTS[old].split()])
    assert RENAMED[old].startswith(parsed(words))
    assert all(one in notice for one in (old, RENAMED[old]))
    assert not any(option in " ".join(words) for option in OPTIONS.get(old, {}))
    if old not in LONG:
        before, now = call(*old.split(), *ARGUMENTS[old].split()), call(*words)
        assert (before.code, before.out) == (now.code, now.out)
        assert before.err == f"note: {notice}\n{now.err}"


def test_todays_verbs_are_no_old_ones() -> None:
    for name in ALL:
        assert current_words(name.split()) == (name.split(), "")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("pln", "plan"),
        ("tabel", "table"),
        ("docter", "doctor"),
        ("analyse", "analyze"),
        ("distill", "run"),
        ("preflght", "plan --try"),
        ("submt", "cluster submit"),
        ("new", "plan --new NAME"),
        ("cluster sumbit", "cluster submit"),
        ("cluster status", "status"),
        ("list method", "list methods"),
        ("data chek", "data check"),
    ],
)
def test_a_mistyped_command_is_answered_with_one_that_exists(
    call: Call, typed: str, answer: str
) -> None:
    wrong = call(*typed.split())
    assert wrong.code == 2
    assert f"Did you mean 'stillhouse {answer}'?" in " ".join(wrong.err.split())


def test_a_word_like_no_command_points_to_the_help(call: Call) -> None:
    assert "--help" in call("xyzzy").err
    assert meant("xyzzy", TREE.commands) == []


@pytest.mark.parametrize(
    "new", sorted({*SYNONYMS.values(), *RENAMED.values()} - {"--help", "--version"})
)
def test_what_is_suggested_exists(new: str) -> None:
    command, options = re.split(r" (?=--)", new + " ", maxsplit=1)[0].strip(), new.split()
    known = {name for one in ALL[command].params for name in one.opts}
    assert {word for word in options if word.startswith("--")} <= known


def test_a_docstring_of_several_paragraphs_is_wrapped_as_one_text(call: Call) -> None:
    lines = [line.rstrip() for line in call("reset", "--help").out.splitlines()]
    text = " ".join(lines)
    assert inspect.cleandoc(ALL["reset"].help).split("\n\n")[1].split(".")[0] in " ".join(
        text.split()
    )


def _cells(line: str) -> list[str]:
    """The two cells of a row of the page's table."""
    return line.split("|")[1:3] if line else ["", ""]


def _words(typed: str) -> list[str]:
    """A command without its arguments."""
    return [one for one in typed.split() if not one.isupper() and one != "..."]


def test_the_page_names_every_old_verb_and_every_exit_code() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    shown = {}
    for line in page.partition("| then | now |")[2].splitlines():
        then, now = ([_words(one) for one in re.findall("`(.+?)`", cell)] for cell in _cells(line))
        shown |= {tuple(old): new for old, new in zip(then, now, strict=True)}
    assert {old: current_words(old)[0] for old in shown} == shown
    assert {" ".join(one for one in old if not one.startswith("-")) for old in shown} >= {
        old for old in RENAMED if old != "figure"
    }
    assert set(re.findall(r"^\| (\d) \|", page, re.MULTILINE)) == {"0", "1", "2"}
