"""A file of the user's: what it is, whether it is still the same, what goes wrong in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from stillhouse import data, methods, models
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError, RunError, StillhouseError
from stillhouse.plugin import load_module, read_plugin, versioned

EXAMPLES = Path(__file__).parents[1] / "examples"
KINDS = {"own_method": "method", "own_model": "model", "own_dataset": "dataset"}
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_known_by_its_name_content_and_kind(name: str) -> None:
    path = EXAMPLES / f"{name}.py"
    file = read_plugin(path)
    assert (file.name, file.kind, file.path) == (name, KINDS[name], path)
    assert file.sha256 == sha256(path.read_bytes()).hexdigest()
    assert str(file) == f"{name}.py ({file.sha256[:8]})"


def test_looking_at_a_file_runs_nothing(write: Write) -> None:
    path = write("tiny.py", "raise SystemExit\ndef build(classes, channels): ...\n")
    code = (
        "import sys; from pathlib import Path; from stillhouse.plugin import read_plugin\n"
        f"print(read_plugin(Path({str(path)!r})).kind, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "model False\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tiny.txt", "", "tiny.txt is not the name of a Python file that a round can use"),
        ("my-net.py", "", "my-net.py is not the name"),
        ("1st.py", "", "1st.py is not the name"),
        ("tiny.py", "def f(:\n", "tiny.py:1: not Python: invalid syntax"),
        ("tiny.py", "x = '\0'", "tiny.py:1: not Python"),
        ("tiny.py", "", "tiny.py defines none of the three"),
        ("tiny.py", "from there import build\n", "tiny.py defines none of the three"),
        ("tiny.py", "SPEC = 1\n", "tiny.py defines none of the three"),
        ("tiny.py", "class Other: ...\n", "tiny.py defines none of the three"),
        (
            "tiny.py",
            "class Tiny: ...\ndef build(): ...\n",
            "tiny.py defines a method and a model",
        ),
    ],
)
def test_what_is_no_method_model_or_dataset_is_refused(
    name: str, text: str, message: str, write: Write
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plugin(write(name, text))
    assert message in caught.value.message


def test_the_cure_names_the_class_that_a_method_needs(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plugin(write("odd_name.py", ""))
    assert "a method (class OddName)" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*away\.py: No such file"):
        read_plugin(tmp_path / "away.py")


def test_a_path_that_no_system_takes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="embedded null byte"):
        read_plugin(tmp_path / "a\0" / "tiny.py")


def test_a_script_that_ends_the_process_is_named_instead(write: Write) -> None:
    text = "import sys\ndef build(classes, channels): ...\nsys.exit(0)\n"
    with pytest.raises(ConfigError, match=r"tiny\.py:3: SystemExit: 0"):
        load_module(read_plugin(write("tiny.py", text)))


def test_a_module_is_run_once_for_each_content(write: Write) -> None:
    path = write("tiny.py", "def build(classes, channels): return 1\n")
    first = read_plugin(path)
    module = load_module(first)
    assert load_module(read_plugin(path)) is module and module.build(0, 0) == 1
    path.write_text("def build(classes, channels): return 2\n")
    assert load_module(read_plugin(path)).build(0, 0) == 2
    assert load_module(first) is module
    assert "tiny" not in sys.modules and not list(path.parent.glob("__pycache__"))


def test_a_file_that_changed_since_it_was_read_is_refused(write: Write) -> None:
    path = write("tiny.py", "def build(classes, channels): return 3\n")
    file = read_plugin(path)
    path.write_text("def build(classes, channels): return 4\n")
    with pytest.raises(RunError, match=r"tiny\.py has changed: SHA-256") as caught:
        load_module(file)
    assert file.sha256[:8] in caught.value.message


def test_an_error_in_a_file_names_its_line_and_leaves_nothing_behind(write: Write) -> None:
    text = "import missing_package_xyz\ndef build(classes, channels): ...\n"
    before = set(sys.modules)
    with pytest.raises(ConfigError) as caught:
        load_module(read_plugin(write("tiny.py", text)))
    assert "tiny.py:1: ModuleNotFoundError: No module named 'missing_package_xyz'" in str(
        caught.value
    )
    assert "install" in caught.value.hint
    assert set(sys.modules) == before


def test_annotations_as_text_work(write: Write) -> None:
    """Pydantic and dataclasses look a module up by its name to resolve them."""
    text = (EXAMPLES / "own_method.py").read_text()
    path = write(
        "own_method.py", text.replace("\n\n", "\n\nfrom __future__ import annotations\n", 1)
    )
    kind = methods.load("own_method", (read_plugin(path),))
    assert kind.Config().model_dump() == {"weight": 0.1}


def test_registries_know_own_files_only_where_they_are_given() -> None:
    files = tuple(read_plugin(EXAMPLES / f"{name}.py") for name in KINDS)
    assert methods.names(files) == [*methods.names(), "own_method"]
    assert models.names(files) == [*models.names(), "own_model"]
    assert data.names(files) == [*data.names(), "own_dataset"]
    assert methods.load("own_method", files).label == "Matched logits"
    assert models.build("own_model", SPECS["Digits"], files).groups == ("first", "second")
    assert data.spec("own_dataset", files).classes == 2
    assert methods.load("logit", files) is methods.load("logit")
    uses: list[Callable[[], object]] = [
        lambda: methods.load("own_method"),
        lambda: models.build("own_model", SPECS["Digits"]),
        lambda: data.load("own_dataset", Path()),
        lambda: methods.load("own_model", files),
    ]
    for use in uses:
        with pytest.raises(ConfigError, match="unknown"):
            use()


@pytest.mark.parametrize(
    ("text", "use", "message"),
    [
        ("class Tiny: ...", methods.load, "Tiny is not a method"),
        (
            "def build(classes, channels): return 'no'",
            lambda name, files: models.build(name, SPECS["Digits"], files),
            "build returned a str, not a network",
        ),
        ("SPEC = 1\nload = 2", data.spec, "tiny.py:1: SPEC: expected DatasetSpec(...)"),
    ],
)
def test_a_file_that_does_not_keep_its_promise(
    text: str, use: Callable[..., object], message: str, write: Write
) -> None:
    file = read_plugin(write("tiny.py", text))
    with pytest.raises(StillhouseError) as caught:
        use("tiny", (file,))
    assert message in caught.value.message and caught.value.hint


def test_a_dataset_answers_for_its_name_its_files_and_what_it_loads(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", "there")  # where its facts are measured
    text = (EXAMPLES / "own_dataset.py").read_text()
    other = read_plugin(write("other.py", text))
    with pytest.raises(ConfigError) as caught:
        data.check("other", Path(), (other,))
    assert "SPEC: its name is 'own_dataset'" in caught.value.message
    text = text.replace("own_dataset", "mine")
    checked = text + "\n\ndef check(spec, root):\n    raise ValueError(f'{spec.name} in {root}')\n"
    with pytest.raises(ConfigError, match=r"mine\.py:19: ValueError: mine in there"):
        data.load("mine", Path("there"), (read_plugin(write("mine.py", checked)),))
    empty = text.split("    digits =")[0] + "    return None\n"
    with pytest.raises(StillhouseError, match="load returned a NoneType, not a dataset"):
        data.load("mine", Path(), (read_plugin(write("mine.py", empty)),))


LABEL = 'label="Even or odd"'
FACTS = (
    "classes=2, channels=1, size=8, train_images=1442, test_images=355, commonest=179, "
    "mean=(0.3, 0.3), std=(0.4,)"
)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (LABEL, f"{LABEL}, classes=1 + 1", "py:8: SPEC: malformed node"),
        (f", {LABEL}", "", "missing 1 required positional argument: 'label'"),
        (LABEL, f"{LABEL}, klasses=2", "unexpected keyword argument 'klasses'"),
        (LABEL, f"{LABEL}, classes='two'", "SPEC: the field 'classes': given 'two'"),
        (LABEL, f"{LABEL}, {FACTS}", "a mean and a std for each of 1 channels"),
    ],
)
def test_mistakes_in_a_spec_are_named(old: str, new: str, message: str, write: Write) -> None:
    text = (EXAMPLES / "own_dataset.py").read_text()
    file = read_plugin(write("own_dataset.py", text.replace(old, new)))
    with pytest.raises(ConfigError) as caught:
        data.spec("own_dataset", (file,))
    assert message in caught.value.message


def test_caches_of_a_method_are_kept_apart_by_content(write: Write) -> None:
    files = (read_plugin(EXAMPLES / "own_method.py"),)
    assert versioned("method", "own_method", files) == f"own_method-{files[0].sha256[:16]}"
    assert versioned("method", "logit", files) == "logit"
