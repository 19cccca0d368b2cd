"""One row for every method and variant: the table of the contract."""

from __future__ import annotations

import pytest

from stillhouse.training.contract.setup import MethodCase

CASES = [
    MethodCase("pure"),
    MethodCase("logit"),
    MethodCase("factor_transfer", options={"variant": "official", "paraphraser_epochs": 1}),
    MethodCase("factor_transfer", options={"variant": "crd", "paraphraser_epochs": 1}),
    MethodCase("attention_transfer"),
    MethodCase("fitnets", options={"variant": "crd"}),
    MethodCase("fitnets", options={"variant": "two_stage"}),
    MethodCase("rkd"),
    MethodCase("nst"),
    MethodCase("logit", options={"standardise": True}),
    MethodCase("dkd", options={"warmup": 2}),
    MethodCase("dist"),
    MethodCase("ttm"),
    MethodCase("wttm"),
    MethodCase("sp"),
    MethodCase("pkt"),
    MethodCase("cc"),
    MethodCase("vid"),
    MethodCase("srrl"),
    MethodCase("srrl", options={"variant": "simkd"}),
    MethodCase("simkd"),
    MethodCase("reviewkd", options={"warmup": 2}),
    MethodCase("crd"),
    MethodCase("crd", options={"negatives_from": "all", "negatives": 16}),
    MethodCase("ce_scaled"),
    MethodCase("label_smoothing"),
    MethodCase("shuffled_teacher"),
    MethodCase("random_teacher"),
    MethodCase("self"),
]

PRODUCT = pytest.mark.product
WHOLE = [False, pytest.param(True, marks=PRODUCT)]  # a share of the cases by default, or all


def share(number: int, parts: int, whole: bool) -> list[MethodCase]:
    """Every `parts`-th case from `number` on: each case is in one of the parts; or all of them."""
    return CASES if whole else CASES[number::parts]


def case_id(case: MethodCase) -> str:
    """`fitnets-two_stage`."""
    return "-".join([case.name, *(str(value) for value in case.options.values())])
