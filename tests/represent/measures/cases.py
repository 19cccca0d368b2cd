"""One row for every measure: the table of the contract.

`same`: its value for an input compared with itself (None where there is no such thing).
`independent`: bounds of its value for independent inputs of 4,000 rows and 8 features (the null);
None where it must have none, with a reason.
`rises`: whether it grows (True) or falls (False) with the variance shared with the other side.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasureCase:
    name: str
    independent: tuple[float, float] | None
    same: float | None = None
    rises: bool | None = None


CASES = [
    MeasureCase("linear_cka", (-0.01, 0.01), same=1, rises=True),
    MeasureCase("rbf_cka", (-0.02, 0.02), same=1, rises=True),
    MeasureCase("procrustes", (0.94, 0.98), same=0, rises=False),
    MeasureCase("cca_mean", (0.01, 0.06), same=1, rises=True),
    MeasureCase("svcca", (0.01, 0.06), same=1, rises=True),
    MeasureCase("linear_r2_ab", (-0.02, 0.005), same=1, rises=True),
    MeasureCase("linear_r2_ba", (-0.02, 0.005), same=1, rises=True),
    MeasureCase("mutual_knn", (0.005, 0.015), same=1, rises=True),
    MeasureCase("rsa", (-0.03, 0.03), same=1, rises=True),
    MeasureCase("rsa_within_class", (-0.05, 0.05), same=1, rises=True),
    MeasureCase("ica_matching", (0.0, 0.1), same=1),
    MeasureCase("participation_ratio", (7.9, 8.0)),
    MeasureCase("effective_rank", (7.9, 8.0)),
    MeasureCase("pca_90", (8, 8)),
    MeasureCase("pca_95", (8, 8)),
    MeasureCase("twonn", (7, 9)),
    MeasureCase("fisher_ratio", (0.6, 1.4)),
    MeasureCase("nc1", (20, 1e6)),
    MeasureCase("linear_probe", (7, 13)),
    MeasureCase("knn_probe", (7, 13)),
    MeasureCase("agreement", (7, 13), same=100, rises=True),
    MeasureCase("agreement_excess", (-3, 3), rises=True),
    MeasureCase("agreement_on_errors", (7, 13), same=100, rises=True),
    MeasureCase("flips", (8, 10)),
    MeasureCase("kl_t1", (0.5, 2.0), same=0, rises=False),
    MeasureCase("kl_t4", (0.02, 0.2), same=0, rises=False),
    MeasureCase("nll", (2.3, 3.2)),
    MeasureCase("brier", (0.9, 1.2)),
    MeasureCase("ece", (5, 40)),
    MeasureCase("ece_tempered", None),
]
