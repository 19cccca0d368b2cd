"""Mutual nearest neighbours: the common members of two neighbourhoods."""

from __future__ import annotations

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable, Value
from stillhouse.represent.measures.geometry import NEIGHBOURS
from stillhouse.represent.measures.inputs import Pair


def _compute(pair: Pair) -> list[Value]:
    rows = len(pair.a.used)
    if rows <= NEIGHBOURS:
        raise NotApplicable(f"{rows} rows have no {NEIGHBOURS} neighbours each")
    common = int((pair.a.geometry.neighbours & pair.b.geometry.neighbours).sum())
    return [Value(common / (rows * NEIGHBOURS), {"rows": rows})]


MEASURES = (
    Measure(
        name="mutual_knn",
        kind="pair",
        unit="",
        range=(0.0, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="M^2 D, M <= 1,000 rows",
        citation="Huh et al. 2024",
        compute=_compute,
        definition="Mean share of common members of the 10 nearest neighbours, Euclidean, self "
        "excluded, neighbours sought among the rows used (at most 1,000, see the rule); of equal "
        "distances the row of lower id counts as nearer.",
        floor="10 / (M - 1) for independent rows: 0.01 at 1,000 rows.",
        ceiling="1; in practice the value between two teachers of other seeds.",
        pitfalls="Depends on the number of rows: compare only values with the same `rows`. Rows "
        "that are neighbours of everything (hubs) raise it.",
        reading="Local agreement: whether the same images lie closest to an image in both layers.",
        details=("rows",),
    ),
)
