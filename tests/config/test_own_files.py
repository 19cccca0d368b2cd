"""The user's own files in a round file: named, refused, counted, read without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse import methods
from stillhouse.config.diff import diff_rounds
from stillhouse.config.expand import expand
from stillhouse.config.identity import counted, difference, identity
from stillhouse.config.load import check_parameters, load_round
from stillhouse.config.schema import Round, RunConfig
from stillhouse.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXT = """\
round: mine
files: [nets/own_model.py, own_method.py, own_dataset.py]
datasets: [Digits, own_dataset]
teacher: ResNet20
students: [own_model]
methods: [pure, logit, own_method]
seeds: [0]
overrides:
  methods:
    own_method: {weight: 0.5}
"""
Write = Callable[[str], Path]


@pytest.fixture
def mine(write: Write, tmp_path: Path) -> Path:
    """A round file whose folder holds the examples, one of them a folder further down."""
    (tmp_path / "nets").mkdir()
    shutil.copy(EXAMPLES / "own_model.py", tmp_path / "nets")
    for name in ("own_method.py", "own_dataset.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    return tmp_path / write(TEXT)


def test_files_are_found_beside_the_round_file(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_round(Path(mine.name))
    monkeypatch.chdir("/")
    assert load_round(mine) == here
    assert [file.path for file in here.files] == [
        tmp_path / "nets/own_model.py",
        tmp_path / "own_method.py",
        tmp_path / "own_dataset.py",
    ]
    check_parameters(here, mine)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("own_method.py,", "away.py,", "round.yaml:2: files[1]: cannot read away.py: No such"),
        ("own_method.py,", "3,", "round.yaml:2: files[1]: given 3\n  hint: expected text"),
        ("own_method.py,", "{path: x},", "files[1]: given {'path': 'x'}\n  hint: expected text"),
        ("[pure,", "[own_model,", "round.yaml:6: methods[0]: given 'own_model'"),
        ("own_method]", "own_methud]", "did you mean 'own_method'? allowed: "),
        ("weight:", "wait:", "overrides.methods.own_method.wait: unknown field"),
        ("[nets/", "[nets/own_model.py, nets/", "the name 'own_model' of "),
    ],
)
def test_mistakes_are_named_with_their_line(
    old: str, new: str, message: str, mine: Path, write: Write
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_round(write(TEXT.replace(old, new, 1)))
    assert message in str(caught.value)


@pytest.mark.parametrize("taken", ["logit", "ResNet20", "Digits", "pure"])
def test_a_name_that_is_built_in_is_refused(taken: str, mine: Path, write: Write) -> None:
    shutil.copy(EXAMPLES / "own_model.py", mine.parent / f"{taken}.py")
    with pytest.raises(ConfigError, match=rf"files\[1\]: the name '{taken}' of .* is taken: built"):
        load_round(write(TEXT.replace("own_method.py", f"{taken}.py")))


def test_a_wrong_value_of_an_own_parameter_is_found(mine: Path, write: Write) -> None:
    path = write(TEXT.replace("0.5", "-1"))
    with pytest.raises(
        ConfigError, match=r"round\.yaml:10: overrides\.methods\.own_method\.weight"
    ):
        check_parameters(load_round(path), path)


def test_a_run_has_the_files_it_is_made_of(mine: Path) -> None:
    used = {run.path: [file.name for file in run.files] for run in expand(load_round(mine))}
    assert used == {
        "Digits/pure/ResNet20/0": [],
        "Digits/pure/own_model/0": ["own_model"],
        "Digits/logit/ResNet20_to_own_model/0": ["own_model"],
        "Digits/own_method/ResNet20_to_own_model/0": ["own_model", "own_method"],
        "own_dataset/pure/ResNet20/0": ["own_dataset"],
        "own_dataset/pure/own_model/0": ["own_model", "own_dataset"],
        "own_dataset/logit/ResNet20_to_own_model/0": ["own_model", "own_dataset"],
        "own_dataset/own_method/ResNet20_to_own_model/0": [
            "own_model",
            "own_method",
            "own_dataset",
        ],
    }


def test_an_own_teacher_is_part_of_its_students(mine: Path, write: Write) -> None:
    text = TEXT.replace("teacher: ResNet20", "teacher: own_model").replace(
        "students: [own_model]", "students: [ResNetBaby]"
    )
    runs = {run.path: run for run in expand(load_round(write(text)))}
    student = runs["Digits/logit/own_model_to_ResNetBaby/0"]
    assert [file.name for file in student.files] == ["own_model"]
    assert runs["Digits/pure/ResNetBaby/0"].files == ()


def last(path: Path) -> RunConfig:
    return expand(load_round(path))[-1]


def test_the_content_counts_and_the_place_does_not(mine: Path, tmp_path: Path) -> None:
    before = last(mine)
    again = RunConfig.model_validate_json(before.model_dump_json())
    assert again == before and identity(again) == identity(before)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path, moved)
    assert identity(last(moved / mine.name)) == identity(before)
    with (tmp_path / "own_method.py").open("a") as file:
        file.write("# another thought\n")
    after = last(mine)
    assert identity(after) != identity(before)
    ((field, was, now),) = difference(counted(before), counted(after))
    assert field == "files.own_method" and was != now and len(now) == 16


def test_a_run_without_own_files_keeps_its_identity() -> None:
    run = RunConfig(dataset="Digits", method="pure", model="ResNet20", seed=0)
    assert "files" not in counted(run)
    assert identity(run) == "3c3edd6a88498561b08da97deb450ef5471789d8922cf715251f4f76dbf98667"


def test_what_is_read_from_the_source_is_what_the_class_says(mine: Path) -> None:
    from stillhouse import methods

    files = load_round(mine).files
    kind = methods.load("own_method", files)
    assert methods.declared("own_method", files).label == kind.label == "Matched logits"
    assert methods.declared("own_method", files).taught_by == kind.taught_by
    assert methods.declared("own_method", files).parameters == tuple(kind.Config.model_fields)
    assert methods.declared("own_method", files).summary.startswith(
        "Matched logits (Ba and Caruana 2014"
    )


def test_a_word_outside_the_class_is_not_its_label(mine: Path) -> None:
    path = mine.parent / "own_method.py"
    other = 'label = "Another"\n\n\nclass Helper:\n    taught_by = "nobody"\n\n\nclass OwnMethod'
    path.write_text(path.read_text().replace("class OwnMethod", other))
    files = load_round(mine).files
    assert methods.declared("own_method", files).label == "Matched logits"
    assert methods.declared("own_method", files).taught_by == "teacher"


def test_a_round_with_own_files_is_read_and_expanded_without_torch(mine: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from stillhouse.config.load import load_round\n"
        "from stillhouse.config.expand import expand\n"
        f"print(len(expand(load_round(Path({str(mine)!r})))), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "8 False\n"


def test_diff_shows_which_content_changed(mine: Path) -> None:
    before = load_round(mine)
    path = mine.parent / "own_dataset.py"
    path.write_text(path.read_text() + "\n")
    table = diff_rounds(before, load_round(mine))
    ((parameter, was, now, reason),) = table.rows
    assert (parameter, reason) == ("files", None)
    assert was != now
    assert str(was).startswith("own_model.py (") and str(before.files[2]) in str(was)


def test_a_round_made_in_python_names_files_from_here(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine.parent)
    settings: dict[str, Any] = {
        "round": "here",
        "files": ["own_method.py"],
        "datasets": ["Digits"],
        "teacher": "ResNet20",
        "students": ["ResNetBaby"],
        "methods": ["own_method"],
        "seeds": [0],
    }
    (file,) = Round.model_validate(settings).files
    assert file.path == mine.parent / "own_method.py"
