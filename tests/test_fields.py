from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from stillhouse.fields import choose, first_fault, show


class Inner(BaseModel):
    share: Annotated[float, Field(le=100, strict=True)]


class Record(BaseModel):
    inner: Inner
    kind: Literal["best", "final"] = "best"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({}, "the field 'run.inner' is missing"),
        ({"inner": {"share": "x"}}, "the field 'run.inner.share': given 'x', expected a number"),
        ({"inner": {"share": 101}}, "the field 'run.inner.share': given 101, expected at most 100"),
        (
            {"inner": {"share": 1.0}, "kind": "bst"},
            "the field 'run.kind': given 'bst', did you mean 'best'? allowed: best, final",
        ),
    ],
)
def test_a_record_is_told_its_first_fault_in_plain_words(value: Any, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Record.model_validate(value)
    assert first_fault(caught.value, "run").startswith(fault)


def test_a_given_value_is_short_and_no_word_of_python() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    assert [show(value) for value in (None, True, False)] == ["nothing", "true", "false"]
    assert all(len(show(value)) <= 60 for value in (nested, "x" * 1000, 10**4000, [0] * 1000))


def test_a_long_list_of_names_is_cut_to_those_that_are_alike() -> None:
    allowed = [f"field_{number}" for number in range(80)] + ["epochs"]
    remedy = choose("epoch", allowed)
    assert remedy.startswith("did you mean 'epochs'? allowed: epochs, ")
    assert remedy.endswith(" and 71 more")
    assert "did you mean" not in choose("overrides", ["vid", *allowed])
