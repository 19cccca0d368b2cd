from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.config.yaml_file import MAX_BYTES, MAX_DEPTH, read_yaml
from stillhouse.errors import ConfigError

Write = Callable[[str], Path]


def parse(text: str) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "round.yaml")
        path.write_bytes(text.encode())
        return read_yaml(path).data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("5e-4", 5e-4),
        ("5.e-4", 5e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-0.1", -0.1),
        ("010", 10),
        ("+3", 3),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        *((word, word) for word in ("no", "No", "NO", "yes", "on", "off", "y", "n", "tRUE")),
        *((word, word) for word in ("2026-02-20", "12:30", "1:30:00", "0x1F", "1_000", ".inf")),
        *((word, word) for word in ("nan", "inf", "1e", "e3", "1.2.3", "-a", ".", "=")),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("[no, 1e-3, true]", ["no", 1e-3, True]),
    ],
)
def test_scalars_are_what_a_person_means(text: str, value: object) -> None:
    result = parse(f"x: {text}\n")["x"]
    assert result == value
    assert type(result) is type(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_python_writes_is_a_number(number: float) -> None:
    assert parse(f"x: {number!r}\n")["x"] == number


@settings(deadline=None)
@given(st.integers())
def test_any_integer_stays_an_integer(number: int) -> None:
    result = parse(f"x: {number}\n")["x"]
    assert result == number
    assert type(result) is int


# PyYAML does not join the two escapes of a character beyond U+FFFF.
words = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_reads_as_json(value: object) -> None:
    """JSON is a subset of YAML 1.2, whatever its strings look like (merge keys are refused)."""
    text = json.dumps({"x": value})
    if '"<<"' not in text:
        assert parse(text) == {"x": value}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_config_error(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "round.yaml")
        path.write_text(text, encoding="utf-8", errors="ignore")
        try:
            assert isinstance(read_yaml(path).data, dict)
        except ConfigError as error:
            assert str(path) in error.message


def test_lines_are_those_of_keys_and_items(write: Write) -> None:
    source = read_yaml(write("a: 1\n\nb:\n  c: 2\n  d:\n    - 3\n    - 4\n"))
    assert source.line(("b",)) == 3
    assert source.line(("b", "c")) == 4
    assert source.line(("b", "d", 1)) == 7
    assert source.line(("b", "missing", "deep")) == 3
    assert source.line(("missing",)) == 1


def test_a_duplicate_key_names_both_lines(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(write("training:\n  epochs: 1\n  batch_size: 2\n  epochs: 3\n"))
    assert caught.value.message == (
        "round.yaml:4: 'epochs' is given twice, on line 2 and on line 4"
    )


def test_keys_are_text(write: Write) -> None:
    assert read_yaml(write("no: 1\n1: 2\ntrue: 3\n")).data == {"no": 1, "1": 2, "true": 3}


def test_aliases_are_allowed(write: Write) -> None:
    source = read_yaml(write("a: &x {b: [1, 2]}\nc: *x\n"))
    assert source.data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}
    assert source.line(("c",)) == 2


LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]\n", "1: an alias that contains itself"),
        ("a: &x\n  b: {c: *x}\n", "1: an alias that contains itself"),
        (LAUGHS, "1: more than 20,000 values once aliases are expanded"),
        ("a: " + "[" * 5000, f"1: not YAML: nested deeper than {MAX_DEPTH}"),
        ("a:\n" + "".join(" " * i + "- \n" for i in range(1, 90)), "33: not YAML: nested"),
        ("a: !!python/object/apply:os.system [ls]\n", "1: tag 'tag:yaml.org,2002:python"),
        ("a: !!int abc\n", "1: tag 'tag:yaml.org,2002:int'"),
        ("a: !!timestamp 2026-02-20\n", "1: tag"),
        ("a: !secret x\n", "1: tag '!secret'"),
        ("a: 1e999\n", "1: a number too large"),
        ("a: " + "9" * 5000 + "\n", "1: a number too large"),
        ('a: "\\ud800"\n', "1: half a character"),
        ('"\\ud83d\\ude00": 1\n', "1: half a character"),
        ("[a]: 1\n", "1: a list or mapping as a key"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "3: merge key '<<'"),
        ("a: 1\nb: [1, 2\nc: 3\n", "3: not YAML"),
        ("a: 1\n\tb: 2\n", "2: not YAML"),
        ("a: *nowhere\n", "1: not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "2: not YAML: but found another document"),
        ("- a\n", "1: expected fields"),
        ("", "1: expected fields"),
        ("just words\n", "1: expected fields"),
    ],
)
def test_traps_are_refused_with_file_and_line(write: Write, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(write(text))
    assert caught.value.message.startswith(f"round.yaml:{message}")


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)
    path.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"round\.yaml:2: not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"a: \x00\n")
    with pytest.raises(ConfigError, match="not YAML"):
        read_yaml(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="expected at most"):
        read_yaml(path)


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(path).data == {"a": 1, "b": 2}
