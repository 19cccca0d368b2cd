"""The inputs of measures: one layer of one run, a pair of layers, the logits of one run.

What several measures need (principal components, distances, ranks, neighbours) is computed at
most once per input and kept with it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg
from scipy.spatial.distance import pdist

from stillhouse.errors import DataError
from stillhouse.represent.measures.geometry import Floats, Geometry, Integers, geometry
from stillhouse.represent.measures.rows import rows_used

__all__ = ["RANK_TOLERANCE", "Floats", "Integers", "Pair", "Predictions", "Representation"]

# Components below this share of the largest singular value are rounding of float32 features.
RANK_TOLERANCE = 1e-6


class Representation:
    """One layer of one run over the rows of a dataset, in the order of their ids.

    `x` is rows x features, `labels` and `ids` have one entry per row; `bank` is the same layer
    over labelled training rows (features, labels). Rows are sorted by id. Raises `DataError` for
    shapes that do not fit.
    """

    def __init__(
        self,
        x: ArrayLike,
        labels: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        bank: tuple[ArrayLike, ArrayLike] | None = None,
        name: str = "representation",
    ) -> None:
        self.name = name
        self._x = _matrix(x, name)
        rows = len(self._x)
        self.labels = None if labels is None else _column(labels, rows, f"{name}: labels")
        if ids is not None:
            order = _order(_column(ids, rows, f"{name}: ids"), name)
            if (order != np.arange(rows)).any():
                self._x = self._x[order]
                self.labels = None if self.labels is None else self.labels[order]
        self.bank: tuple[NDArray[np.floating], Integers] | None = None
        if bank is not None:
            features = _matrix(bank[0], f"{name}: training rows")
            if features.shape[1] != self.width:
                raise DataError(
                    f"{name}: the training rows have {features.shape[1]} features, "
                    f"the test rows {self.width}",
                    "extract both again from the same weights",
                )
            self.bank = features, _column(bank[1], len(features), f"{name}: training labels")

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._x)

    @property
    def width(self) -> int:
        """Number of features."""
        return int(self._x.shape[1])

    @property
    def x(self) -> Floats:
        """The features, rows x features."""
        return self._x.astype(np.float64, copy=False)

    @cached_property
    def problem(self) -> str:
        """Why no measure has a value here; empty if there is no such reason."""
        bad = int((~np.isfinite(self._x).all(axis=1)).sum())
        if bad:
            return f"{bad} of {self.rows} rows of {self.name} hold NaN or infinite features"
        if self.rows < 4:
            return f"{self.rows} rows; at least 4 are needed"
        if not self.components[1].size:
            return f"no feature of {self.name} varies over the rows"
        return ""

    def lacks(self, need: str) -> str:
        """Why an optional input is missing; empty if it is there."""
        if need == "labels":
            if self.labels is None:
                return "there are no labels"
            if len(np.unique(self.labels)) < 2:
                return "all rows have the same class"
        if need == "bank":
            if self.bank is None:
                return "there are no training rows"
            if not np.isfinite(self.bank[0]).all():
                return "the training rows hold NaN or infinite features"
            if len(np.unique(self.bank[1])) < 2:
                return "all training rows have the same class"
        return ""

    @property
    def centred(self) -> Floats:
        """Features less their column means, rows x features."""
        x = self.x
        centred: Floats = x - x.mean(axis=0)
        return centred

    @cached_property
    def components(self) -> tuple[Floats, Floats]:
        """Left singular vectors (rows x rank) and singular values (rank) of the centred features.

        Their product is the features in the basis of their principal components: what is
        invariant to rotation can be computed from it.
        """
        centred = self.centred
        # Constant features, up to the rounding of their mean, have no component.
        if not np.abs(centred).max() > 1e-12 * np.abs(self._x).max():
            return np.empty((self.rows, 0)), np.empty(0)
        u, s, _ = linalg.svd(centred, full_matrices=False, check_finite=False)
        rank = int((s > RANK_TOLERANCE * s[0]).sum())
        return np.ascontiguousarray(u[:, :rank]), s[:rank]

    @cached_property
    def even_gram(self) -> Floats:
        """Product of the components with themselves over the rows of even position."""
        even = self.components[0][::2]
        gram: Floats = even.T @ even
        return gram

    def permuted(self, seed: int) -> Representation:
        """Return the same features in a random order of rows, labels left in place: a floor."""
        order = np.random.default_rng(seed).permutation(self.rows)
        shuffled = Representation(self._x[order], self.labels, name=f"{self.name}, rows permuted")
        u, s = self.components
        shuffled.components = u[order], s
        return shuffled

    @cached_property
    def eigenvalues(self) -> Floats:
        """Eigenvalues of the covariance matrix above zero, in falling order."""
        values: Floats = self.components[1] ** 2 / (self.rows - 1)
        return values

    @cached_property
    def squared_norms(self) -> Floats:
        """Squared Euclidean norm of each centred row."""
        u, s = self.components
        norms: Floats = u**2 @ s**2
        return norms

    @cached_property
    def used(self) -> Integers:
        """Rows that measures of quadratic cost use (rows.py)."""
        return rows_used(self.labels, self.rows)

    @property
    def distances(self) -> Floats:
        """Euclidean distances of all pairs of used rows, as `scipy.spatial.distance.pdist`.

        Not kept: what the default measures need of them is in `geometry`.
        """
        distances: Floats = pdist(self.centred[self.used])
        return distances

    @cached_property
    def geometry(self) -> Geometry:
        """What measures of quadratic cost read from the distances of the used rows."""
        labels = np.zeros(self.rows, np.int64) if self.labels is None else self.labels
        return geometry(self.distances, labels[self.used])


class Pair:
    """Two representations over the same rows.

    `products` are the products of their components over the rows of even and of odd position
    (rank a x rank b each); computed here unless a batch has computed them for many pairs at once.
    """

    def __init__(
        self,
        a: Representation,
        b: Representation,
        products: tuple[Floats, Floats] | None = None,
    ) -> None:
        if a.rows != b.rows:
            raise DataError(
                f"{a.name} has {a.rows} rows, {b.name} {b.rows}: only the same rows compare",
                "extract both again from the same dataset",
            )
        if a.labels is not None and b.labels is not None and (a.labels != b.labels).any():
            raise DataError(
                f"{a.name} and {b.name} have different labels: only the same rows compare",
                "extract both again from the same dataset",
            )
        self.a, self.b = a, b
        if products is not None:
            self.products = products

    @property
    def problem(self) -> str:
        """Why no measure has a value here; empty if there is no such reason."""
        return self.a.problem or self.b.problem

    def lacks(self, need: str) -> str:
        """Why an optional input is missing; empty if it is there."""
        return self.a.lacks(need) or self.b.lacks(need)

    @cached_property
    def products(self) -> tuple[Floats, Floats]:
        """Products of the components over even and over odd rows."""
        (u, _), (v, _) = self.a.components, self.b.components
        return u[::2].T @ v[::2], u[1::2].T @ v[1::2]

    @cached_property
    def cosines(self) -> Floats:
        """Product of the components over all rows: rank a x rank b."""
        even, odd = self.products
        total: Floats = even + odd
        return total

    @cached_property
    def covariances(self) -> Floats:
        """Product of the features over all rows, both in the basis of their components."""
        s, t = self.a.components[1], self.b.components[1]
        product: Floats = s[:, None] * self.cosines * t
        return product


class Predictions:
    """The logits of one run over the test rows, with what they are compared to.

    `logits` rows x classes, `labels` one per row; `train` the same over training rows (logits,
    labels); `teacher` and `pure` the logits of the teacher and of the pure student with the same
    seed over the same test rows.
    """

    def __init__(
        self,
        logits: ArrayLike,
        labels: ArrayLike,
        train: tuple[ArrayLike, ArrayLike] | None = None,
        teacher: ArrayLike | None = None,
        pure: ArrayLike | None = None,
        name: str = "logits",
    ) -> None:
        self.name = name
        self.logits = _matrix(logits, name).astype(np.float64, copy=False)
        self.labels = _column(labels, len(self.logits), f"{name}: labels")
        if ((self.labels < 0) | (self.labels >= self.classes)).any():
            raise DataError(
                f"{name}: a label lies outside the {self.classes} classes of the logits",
                "extract again from the same dataset",
            )
        self.train: tuple[Floats, Integers] | None = None
        if train is not None:
            values = _matrix(train[0], f"{name}: training rows").astype(np.float64, copy=False)
            self.train = values, _column(train[1], len(values), f"{name}: training labels")
        self.teacher = None if teacher is None else self._beside(teacher, "the teacher's logits")
        self.pure = None if pure is None else self._beside(pure, "the pure student's logits")

    def _beside(self, logits: ArrayLike, what: str) -> Floats:
        found = _matrix(logits, what).astype(np.float64, copy=False)
        if found.shape != self.logits.shape:
            raise DataError(
                f"{self.name} has shape {self.logits.shape}, {what} {found.shape}: "
                "only the same rows and classes compare",
                "extract both again from the same dataset",
            )
        return found

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.logits.shape[1])

    @cached_property
    def problem(self) -> str:
        """Why no measure has a value here; empty if there is no such reason."""
        bad = int((~np.isfinite(self.logits).all(axis=1)).sum())
        if bad:
            return f"{bad} of {len(self.logits)} rows of {self.name} hold NaN or infinite logits"
        return "" if len(self.logits) and self.classes > 1 else "fewer than two classes"

    def lacks(self, need: str) -> str:
        """Why an optional input is missing; empty if it is there."""
        texts = {"teacher": "teacher", "pure": "pure student with the same seed"}
        if need in texts:
            other = self.teacher if need == "teacher" else self.pure
            if other is None:
                return f"there are no logits of the {texts[need]}"
            if not np.isfinite(other).all():
                return f"the logits of the {texts[need]} hold NaN or infinity"
        if need == "bank":
            if self.train is None or not len(self.train[0]):
                return "there are no training rows"
            if not np.isfinite(self.train[0]).all():
                return "the training rows hold NaN or infinite logits"
        return ""


def _matrix(values: ArrayLike, name: str) -> NDArray[np.floating]:
    """Return the values as they are stored: of a type of float, rows x features."""
    matrix = np.asarray(values)
    if matrix.dtype.kind in "biu":
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2 or not matrix.shape[1] or matrix.dtype.kind != "f":
        raise DataError(
            f"{name} has shape {matrix.shape} and type {matrix.dtype}, expected numbers, rows x "
            "features",
            "pool the positions of maps first",
        )
    return matrix


def _column(values: ArrayLike, rows: int, name: str) -> Integers:
    column = np.asarray(values)
    if column.shape != (rows,) or column.dtype.kind not in "iu":
        raise DataError(
            f"{name} have shape {column.shape} and type {column.dtype}, expected {rows} integers",
            "extract again",
        )
    return column.astype(np.int64)


def _order(ids: Integers, name: str) -> Integers:
    order: Integers = np.argsort(ids, kind="stable")
    if (np.diff(ids[order]) == 0).any():
        raise DataError(f"{name}: an id stands for two rows", "extract again")
    return order
