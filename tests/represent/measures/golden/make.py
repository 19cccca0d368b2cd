"""Write the golden numbers: the measures of a fixed input by independent implementations.

Run in an environment of its own, beside the packages named in `SOURCES` (none is a dependency of
stillhouse; netrep and the notebook are not on a package index):

    python make.py --netrep FOLDER_WITH_NETREP --notebook Demo.ipynb

The notebook is representation_similarity/Demo.ipynb of google-research, netrep is ahwillia/netrep
at 0186b8a. Nothing here imports stillhouse; `numbers.json` names the source of each value.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def inputs() -> dict[str, np.ndarray]:
    """Features of two layers with shared structure, training rows, and logits."""
    rng = np.random.default_rng(20240607)
    labels = np.arange(200) * 7 % 5
    bank_labels = np.arange(160) * 3 % 5
    centres, mix = rng.normal(size=(5, 16)), rng.normal(size=(16, 12))

    def layer(classes: np.ndarray) -> np.ndarray:
        noise = rng.normal(size=(len(classes), 16)) * np.linspace(0.5, 2, 16)
        return np.maximum(0.7 * centres[classes] + noise + 0.5, 0)

    x, bank = layer(labels), layer(bank_labels)
    y = np.tanh(x @ mix / 4) + 0.3 * rng.normal(size=(200, 12))

    def logits(classes: np.ndarray, strength: float) -> np.ndarray:
        return strength * np.eye(5)[classes] + 1.5 * rng.normal(size=(len(classes), 5))

    arrays = {"x": x, "y": y, "bank": bank, "student": logits(labels, 2.0)}
    arrays["teacher"] = 0.6 * arrays["student"] + logits(labels, 2.0)
    arrays["pure"], arrays["train"] = logits(labels, 1.5), logits(bank_labels, 2.0)
    whole = {name: np.round(a, 4) for name, a in arrays.items()}
    return {**whole, "labels": labels, "bank_labels": bank_labels}


def notebook(path: Path) -> SimpleNamespace:
    """The functions of the notebook's second cell."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    space: dict[str, Any] = {}
    exec("".join(cells[0]["source"]), space)
    return SimpleNamespace(**space)


def linear(a: dict[str, np.ndarray], path: Path, source: Any) -> dict[str, tuple[Any, str]]:
    from netrep.metrics import LinearMetric
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score
    from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
    from statsmodels.multivariate.cancorr import CanCorr

    x, y = a["x"], a["y"]
    found: dict[str, tuple[Any, str]] = {
        "linear_cka": (
            source.cka(source.gram_linear(x), source.gram_linear(y), debiased=True),
            "google-research notebook, Gram form",
        )
    }
    angle = LinearMetric(alpha=1.0, score_method="angular").fit_score(x, y)
    found["procrustes"] = 1 - np.cos(angle), "netrep LinearMetric(alpha=1), 1 - cos of its angle"
    xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
    found["cca_mean"] = CanCorr(xc, yc).cancorr.mean(), "statsmodels CanCorr"
    parts = [PCA(10).fit_transform(z) for z in (x, y)]
    found["svcca"] = CanCorr(*parts).cancorr.mean(), "scikit-learn PCA, statsmodels CanCorr"
    for name, (s, t) in {"linear_r2_ab": (xc, yc), "linear_r2_ba": (yc, xc)}.items():
        penalty = 1e-3 * (s[::2] ** 2).sum() / s.shape[1]
        model = Ridge(alpha=penalty, fit_intercept=False).fit(s[::2], t[::2])
        value = r2_score(t[1::2], model.predict(s[1::2]), multioutput="variance_weighted")
        found[name] = value, "scikit-learn Ridge, r2_score variance-weighted"
    grams = []
    for z in (x, y):
        distances = euclidean_distances(z)
        median = np.median(distances[np.triu_indices(len(z), 1)])
        grams.append([rbf_kernel(z, gamma=1 / (2 * (f * median) ** 2)) for f in (0.2, 0.5, 1, 2)])
    found["rbf_cka"] = (
        [source.cka(k, m, debiased=True) for k, m in zip(*grams, strict=True)],
        "scikit-learn rbf_kernel, google-research notebook's cka",
    )
    return found


def distances(a: dict[str, np.ndarray]) -> dict[str, tuple[Any, str]]:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare
    from skdim.id import TwoNN
    from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

    x, y, labels = a["x"], a["y"], a["labels"]

    def spearman(rows: np.ndarray) -> float:
        rdms = [calc_rdm(Dataset(z[rows]), method="euclidean") for z in (x, y)]
        return float(np.squeeze(compare(*rdms, method="spearman")))

    found: dict[str, tuple[Any, str]] = {
        "rsa": (spearman(np.arange(200)), "rsatoolbox calc_rdm, compare spearman"),
        "rsa_within_class": (
            np.mean([spearman(np.flatnonzero(labels == c)) for c in range(5)]),
            "rsatoolbox, mean over classes",
        ),
    }
    near = [NearestNeighbors(n_neighbors=10).fit(z).kneighbors()[1] for z in (x, y)]
    shared = [len(set(p) & set(q)) / 10 for p, q in zip(*near, strict=True)]
    found["mutual_knn"] = np.mean(shared), "scikit-learn NearestNeighbors"
    found["twonn"] = (
        [TwoNN(method="mle", discard_fraction=0).fit(x[::k]).dimension_ for k in (1, 2, 4)],
        "scikit-dimension TwoNN(method='mle', discard_fraction=0)",
    )
    votes = KNeighborsClassifier(20, metric="cosine", weights=lambda d: 1 - d)
    score = votes.fit(a["bank"], a["bank_labels"]).score(x, labels)
    found["knn_probe"] = 100 * score, "scikit-learn KNeighborsClassifier, weights 1 - distance"
    return found


def spectra(a: dict[str, np.ndarray]) -> dict[str, tuple[Any, str]]:
    from scipy.stats import entropy
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, labels = a["x"], a["labels"]
    pca = PCA().fit(x)
    covariance = pca.get_covariance()
    found: dict[str, tuple[Any, str]] = {
        "participation_ratio": (
            np.trace(covariance) ** 2 / np.trace(covariance @ covariance),
            "scikit-learn PCA covariance, traces",
        ),
        "effective_rank": (
            np.exp(entropy(pca.explained_variance_ratio_)),
            "scikit-learn PCA, scipy.stats.entropy",
        ),
    }
    for share in (0.9, 0.95):
        k = PCA(share, svd_solver="full").fit(x).n_components_
        found[f"pca_{100 * share:.0f}"] = int(k), "scikit-learn PCA(n_components=share)"
    lda = LinearDiscriminantAnalysis(store_covariance=True, solver="lsqr").fit(x, labels)
    within, total = lda.covariance_, np.cov(x.T, ddof=0)
    ratio = (np.trace(total - within) / 4) / (np.trace(within) / 195)
    found["fisher_ratio"] = ratio, "scikit-learn LDA covariance_, total minus within"
    between = np.cov(lda.means_.T, ddof=0)
    found["nc1"] = (
        np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 5,
        "scikit-learn LDA covariance_ and means_, numpy pinv",
    )
    ridge = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1.0))
    score = ridge.fit(a["bank"], a["bank_labels"]).score(x, labels)
    found["linear_probe"] = 100 * score, "scikit-learn StandardScaler, RidgeClassifier(alpha=1)"
    return found


def predictions(a: dict[str, np.ndarray]) -> dict[str, tuple[Any, str]]:
    import torch
    from scipy.special import softmax
    from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss
    from torchmetrics import KLDivergence
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
    )

    t = {name: torch.from_numpy(values) for name, values in a.items()}
    labels, classes = a["labels"], range(5)

    def accuracy(one: Any, other: Any) -> float:
        return float(multiclass_accuracy(one.argmax(1), other, 5, average="micro"))

    def ece(logits: Any) -> float:
        found = multiclass_calibration_error(logits.softmax(1), t["labels"], 5, n_bins=15)
        return 100 * float(found)

    agree = accuracy(t["student"], t["teacher"].argmax(1))
    right = accuracy(t["student"], t["labels"]), accuracy(t["teacher"], t["labels"])
    chance = right[0] * right[1] + (1 - right[0]) * (1 - right[1]) / 4
    wrong = t["teacher"].argmax(1) != t["labels"]
    copied = accuracy(t["student"][wrong], t["teacher"][wrong].argmax(1))
    flipped = confusion_matrix(
        a["pure"].argmax(1) == labels, a["student"].argmax(1) == labels, labels=[False, True]
    )[1, 0]
    found: dict[str, tuple[Any, str]] = {
        "agreement": (100 * agree, "torchmetrics accuracy"),
        "agreement_excess": (100 * (agree - chance), "torchmetrics accuracy"),
        "agreement_on_errors": (100 * copied, "torchmetrics accuracy"),
        "flips": (100 * flipped / 200, "scikit-learn confusion_matrix"),
        "ece": (ece(t["student"]), "torchmetrics multiclass_calibration_error, 15 bins"),
    }
    for temperature in (1, 4):
        metric = KLDivergence()
        probabilities = ((t[name] / temperature).softmax(1) for name in ("teacher", "student"))
        found[f"kl_t{temperature}"] = float(metric(*probabilities)), "torchmetrics KLDivergence"
    probabilities = softmax(a["student"], axis=1)
    found["nll"] = log_loss(labels, probabilities, labels=classes), "scikit-learn log_loss"
    found["brier"] = (
        brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False),
        "scikit-learn brier_score_loss",
    )
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([scale], max_iter=500, tolerance_change=1e-14)

    def loss() -> Any:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(t["train"] * scale.exp(), t["bank_labels"])
        value.backward()
        return value

    optimiser.step(loss)
    found["ece_tempered"] = (
        ece(t["student"] * float(scale.exp())),
        "torch LBFGS for the temperature, torchmetrics multiclass_calibration_error",
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--netrep", type=Path, required=True)
    parser.add_argument("--notebook", type=Path, required=True)
    given = parser.parse_args()
    sys.path.insert(0, str(given.netrep))
    arrays = inputs()
    found = {
        **linear(arrays, given.netrep, notebook(given.notebook)),
        **distances(arrays),
        **spectra(arrays),
        **predictions(arrays),
    }
    numbers = {
        name: {"value": np.asarray(value, dtype=float).tolist(), "source": source}
        for name, (value, source) in sorted(found.items())
    }
    np.savez_compressed(HERE / "inputs.npz", **arrays)
    (HERE / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
