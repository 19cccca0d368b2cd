"""Measures on inputs whose value is known from a formula."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest

from represent.measures.made import classes_of, normal, orthogonal, values
from stillhouse.represent.measures import REGISTRY, Pair, Predictions, Representation


def of_features(name: str, x: np.ndarray, labels: np.ndarray | None = None) -> float | None:
    return REGISTRY[name](Representation(x, labels))[0].value


def of_logits(name: str, logits: np.ndarray, labels: np.ndarray, **others: np.ndarray) -> float:
    found = REGISTRY[name](Predictions(logits, labels, **others))[0].value
    assert found is not None
    return found


def with_eigenvalues(*eigenvalues: float) -> np.ndarray:
    """Features whose covariance has exactly these eigenvalues."""
    rows, size = 400, len(eigenvalues)
    basis = np.linalg.qr(np.column_stack([np.ones(rows), normal(1, rows, size)]))[0][:, 1:]
    return basis * np.sqrt(np.array(eigenvalues) * (rows - 1)) @ orthogonal(2, size)


@pytest.mark.parametrize(
    ("name", "eigenvalues", "expected"),
    [
        ("participation_ratio", (4, 1), 25 / 17),
        ("participation_ratio", (2, 2, 2), 3),
        ("effective_rank", (3, 3, 3, 3), 4),
        ("effective_rank", (4, 1), exp(-0.8 * log(0.8) - 0.2 * log(0.2))),
        ("pca_90", (8.9, 0.1, 1), 2),
        ("pca_90", (9, 1), 1),  # exactly 90 %
        ("pca_95", (9, 1), 2),
    ],
)
def test_spectra(name: str, eigenvalues: tuple[float, ...], expected: float) -> None:
    assert of_features(name, with_eigenvalues(*eigenvalues)) == pytest.approx(expected)


def test_isotropic_noise_has_participation_ratio_dn_over_d_plus_n() -> None:
    ratios = [of_features("participation_ratio", normal(seed, 10_000, 64)) for seed in range(3)]
    assert np.mean(ratios) == pytest.approx(64 * 10_000 / 10_064, rel=2e-3)


def test_spectrum_counts_variance_and_not_its_square_root() -> None:
    shares = np.array([9, 1]) / 10
    assert of_features("effective_rank", with_eigenvalues(9, 1)) == pytest.approx(
        exp(-(shares * np.log(shares)).sum())
    )


def test_linear_r2_is_the_share_of_signal() -> None:
    x, noise = normal(1, 20_000), normal(2, 20_000)
    snr = 3.0
    y = x @ orthogonal(3, 8) * sqrt(snr) + noise
    pair = Pair(Representation(x), Representation(y))
    for name in ("linear_r2_ab", "linear_r2_ba"):
        assert REGISTRY[name](pair)[0].value == pytest.approx(snr / (1 + snr), abs=0.01)


def test_canonical_correlation_of_a_shared_signal() -> None:
    """Correlation sqrt(r) in each of 4 directions; CCA and SVCCA see all of them."""
    x, noise, r = normal(1, 20_000, 4), normal(2, 20_000, 4), 0.36
    pair = Pair(Representation(x), Representation(sqrt(r) * x + sqrt(1 - r) * noise))
    for name in ("cca_mean", "svcca"):
        assert REGISTRY[name](pair)[0].value == pytest.approx(0.6, abs=0.01)


def test_biased_cka_of_independent_features_would_be_far_from_zero() -> None:
    """D / (N + D) is about a third at 128 rows and 64 features; the unbiased estimator gives 0."""
    found = [
        values(REGISTRY["linear_cka"], normal(seed, 128, 64), normal(seed + 50, 128, 64))[0]
        for seed in range(20)
    ]
    x, y = normal(0, 128, 64), normal(50, 128, 64)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    biased = np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert biased > 0.3
    assert np.mean(found) == pytest.approx(0, abs=0.01)


def test_wide_kernels_give_linear_cka() -> None:
    from stillhouse.represent.measures.rbf_cka import kernel, unbiased_hsic

    x, y = normal(1, 300), normal(1, 300) + normal(2, 300)
    wide = [kernel(Representation(z).distances, 300.0) for z in (x, y)]
    for matrix in wide:
        np.fill_diagonal(matrix, 0)
    norm = sqrt(unbiased_hsic(wide[0], wide[0]) * unbiased_hsic(wide[1], wide[1]))
    linear = values(REGISTRY["linear_cka"], x, y)[0]
    assert unbiased_hsic(*wide) / norm == pytest.approx(linear, abs=1e-4)


def test_procrustes_of_unequal_widths_pads_with_zeros() -> None:
    x, y = normal(1, 100, 3), normal(2, 100, 5)
    padded = np.column_stack([x, np.zeros((100, 2))])
    measure = REGISTRY["procrustes"]
    assert values(measure, x, y) == pytest.approx(values(measure, padded, y))


def test_rsa_is_one_for_distances_in_the_same_order() -> None:
    x = np.linspace(0, 1, 40)[:, None] ** 1.5
    # On a line, all distances d become d^2 / (d + 1): the same order, other values.
    square = np.abs(x - x.T)
    changed = square**2 / (square + 1)
    from stillhouse.represent.measures.geometry import unit_ranks

    upper = np.triu_indices(40, 1)
    assert unit_ranks(square[upper]) @ unit_ranks(changed[upper]) == pytest.approx(1)


def test_twonn_of_cubes() -> None:
    for dimension, expected in ((2, 2.05), (5, 4.73), (10, 8.94)):
        cube = np.random.default_rng(0).random((5000, dimension)) @ normal(1, dimension, 30)
        cube = np.random.default_rng(0).random((5000, dimension))
        found = of_features("twonn", np.column_stack([cube, np.zeros((5000, 3))]))
        assert found == pytest.approx(expected, rel=0.05)


def test_twonn_reports_three_scales() -> None:
    found = REGISTRY["twonn"](Representation(normal(1, 1000, 3)))
    assert [value.details for value in found] == [
        {"rows": 1000, "scale": 1.0},
        {"rows": 500, "scale": 0.5},
        {"rows": 250, "scale": 0.25},
    ]


@pytest.mark.parametrize("classes", [10, 100])
def test_fisher_ratio_is_one_without_signal(classes: int) -> None:
    x = normal(1, 10_000, 32)
    assert of_features("fisher_ratio", x, classes_of(10_000, classes)) == pytest.approx(1, abs=0.2)


def test_nc1_of_two_classes_on_a_line() -> None:
    """Means -1 and 1 (S_b = 1), spread v inside: NC1 = v / 2; an idle channel changes nothing."""
    labels = np.repeat([0, 1], 2)
    x = np.array([-1.5, -0.5, 0.5, 1.5])
    assert of_features("nc1", x[:, None], labels) == pytest.approx(0.25 / 2)
    idle = np.column_stack([x, [1, -1, 1, -1]])
    assert of_features("nc1", idle, labels) == pytest.approx(0.25 / 2)


def test_probes_read_separated_clusters() -> None:
    labels = classes_of(300)
    x = 100 * np.eye(10)[labels] + normal(1, 300, 10)
    for name in ("linear_probe", "knn_probe"):
        found = REGISTRY[name](Representation(x, labels, bank=(x[::-1], labels[::-1])))
        assert found[0].value == 100


def test_divergence_of_two_classes() -> None:
    teacher, student = np.array([[log(3.0), 0.0]]), np.array([[0.0, 0.0]])
    expected = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
    labels = np.array([0])
    assert of_logits("kl_t1", student, labels, teacher=teacher) == pytest.approx(expected)
    assert of_logits("kl_t4", 4 * student, labels, teacher=4 * teacher) == pytest.approx(expected)


def test_scores_of_uniform_predictions() -> None:
    logits, labels = np.zeros((5, 4)), np.array([0, 1, 2, 3, 0])
    assert of_logits("nll", logits, labels) == pytest.approx(log(4))
    assert of_logits("brier", logits, labels) == pytest.approx(0.75)


def test_the_worst_brier_score_is_two() -> None:
    assert of_logits("brier", np.array([[900.0, 0.0]]), np.array([1])) == 2


def test_calibrated_predictions_have_no_calibration_error() -> None:
    """Confidence 0.8, right in 8 of 10 rows; 0.6, right in 6 of 10."""
    rows, labels = [], []
    for confidence in (0.8, 0.6):
        for i in range(10):
            rows.append([log(confidence), log(1 - confidence)])
            labels.append(0 if i < 10 * confidence else 1)
    assert of_logits("ece", np.array(rows), np.array(labels)) == pytest.approx(0, abs=1e-9)
    overconfident = of_logits("ece", 3 * np.array(rows), np.array(labels))
    assert overconfident > 10


def test_bins_are_open_to_the_left_and_one_lies_in_the_last() -> None:
    """0.6 = 9 / 15 lies in the bin (8/15, 9/15], with 0.55 and not with 0.65."""
    from stillhouse.represent.measures.ece import calibration_error

    def logits(confidence: float) -> list[float]:
        return [log(confidence), log(1 - confidence)]

    labels = np.array([0, 1])
    with_lower = calibration_error(np.array([logits(0.6), logits(0.55)]), labels)
    assert with_lower == pytest.approx(abs(0.5 - 0.575))
    with_upper = calibration_error(np.array([logits(0.6), logits(0.65)]), labels)
    assert with_upper == pytest.approx((0.4 + 0.65) / 2)
    certain = calibration_error(np.array([[900.0, 0.0], logits(0.97)]), np.array([0, 1]))
    assert certain == pytest.approx(abs(0.5 - 1.97 / 2))


def test_agreement_of_independent_errors_has_no_excess() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=200_000)

    def predicted(accuracy: float) -> np.ndarray:
        wrong = (labels + rng.integers(1, 10, size=len(labels))) % 10
        return np.eye(10)[np.where(rng.random(len(labels)) < accuracy, labels, wrong)]

    student, teacher = predicted(0.7), predicted(0.8)
    assert of_logits("agreement_excess", student, labels, teacher=teacher) == pytest.approx(
        0, abs=0.4
    )
    assert of_logits("agreement_on_errors", student, labels, teacher=teacher) == pytest.approx(
        100 * 0.3 / 9, abs=0.4
    )


def test_flips_count_rows_that_only_pure_gets_right() -> None:
    labels = np.zeros(4, dtype=int)
    pure, student = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 1, 0, 1]]
    assert of_logits("flips", student, labels, pure=pure) == 25
