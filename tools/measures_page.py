"""docs/measures.md, written from the declarations of the measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import fill

from stillhouse.represent.measures.base import Invariance, Kind, Measure

KINDS: dict[Kind, str] = {
    "pair": "Two layers compared",
    "representation": "One layer",
    "predictions": "Predictions",
}
INVARIANCES: dict[Invariance, str] = {
    "channel_permutation": "channels in another order",
    "orthogonal": "rotation and reflection (orthogonal matrices)",
    "isotropic_scaling": "one factor for all channels",
    "channel_scaling": "one positive factor per channel",
    "translation": "a constant per channel",
    "invertible_linear": "any invertible matrix",
    "logit_shift": "a constant added to all logits of a row",
}
DIRECTIONS = {
    "similarity": "higher is more alike",
    "distance": "a distance: lower is more alike",
    "higher_is_better": "higher is better",
    "lower_is_better": "lower is better",
    "neither": "neither end is better",
}
NEEDS = {
    "labels": "labels",
    "bank": "labelled training rows",
    "teacher": "the teacher's logits",
    "pure": "the logits of the pure student with the same seed",
}
FIGURES = {
    "linear_cka": "`transfer`, `cross_layer`, `alignment`",
    "participation_ratio": "`depth`",
    "effective_rank": "`depth`",
    "pca_95": "`depth`",
    "twonn": "`depth`",
    "linear_probe": "`probes`",
    "knn_probe": "`probes`",
    "agreement": "`fidelity`",
    "ece": "`reliability`",
}
PICTURES: dict[Kind, tuple[str, ...]] = {
    "pair": ("transfer", "cross_layer"),
    "representation": ("depth", "probes"),
    "predictions": ("fidelity", "reliability"),
}
HEAD = """\
# Measures

This page is written from the declarations in `stillhouse.represent.measures` (`make docs`). The
values stand in `measures.csv` (one layer, predictions) and `pairs.csv` (two layers), in the column
`measure` by these names.

X and Y are the features of two layers over the same N rows of the test set: rows x features,
columns centred, computed in float64. D is the number of features, C the number of classes, l
the eigenvalues of the covariance matrix, and ||.||_F and ||.||_nuc the Frobenius and the
nuclear norm.

## How to read a similarity

No similarity means anything alone. Read it between three references, all rows of `pairs.csv`
(column `kind`):

- **floor**: the same layers with the rows permuted (`permuted`), and an untrained network of the
  same kind (`untrained`). What remains there comes from the numbers of rows and features and from
  the images, not from training.
- **control**: the pure student with the same teacher (`pure_teacher`). Two networks trained on the
  same images agree without any distillation.
- **ceiling**: two teachers of different seeds (`teacher_teacher`). A student beyond it is more like
  its teacher than the same network, trained once more, would be.

*Excess* is the similarity of a distilled student to its teacher less that of the pure student
to the same teacher. *Specificity* is its similarity to its own teacher less the mean similarity
to the teachers of the other seeds: how much of it is of this teacher, and of no other. The
pure student's own specificity (`pure_other_teacher`) is its floor: nobody taught it, but it shares
the order of the images and their augmentation with the teacher of its seed.

## Rows

Measures whose cost grows with the square of the rows (`rsa`, `rsa_within_class`, `mutual_knn`,
`rbf_cka`) use at most 1,000 rows, counted in the column `rows`. Each class has its share of
them by largest remainder; of a class with n rows and share t, the rows at floor(i n / t), i = 0
to t - 1, in the order of ids. No random numbers are involved.

## No value

A cell without a value has the reason in the column `why`: features that are NaN or infinite, a
layer of which no channel varies, one class only, fewer than 4 rows, or what the section of the
measure names. Channels without variance and repeated rows are no error.

## Cost

`make bench-analysis` measures synthetic runs of 3 layers (16, 32 and 64 features), 10,000 test and
10,000 training rows: the default set, and every layer with every layer of 6 reference networks. On
two idle cores of a Xeon, two processes of one thread took 335 seconds for 312 runs and held 1.3 GiB
together. Time grows with the runs, memory does not (the last row is of one process):

| runs | CPU seconds | per run | GiB |
| ---: | ---: | ---: | ---: |
| 78 | 162 | 2.1 | 1.2 |
| 156 | 338 | 2.2 | 1.3 |
| 312 | 636 | 2.0 | 1.3 |
| 624 | 1,272 | 2.0 | 0.6 |

About 70 % of it are the neighbours of `twonn` and `knn_probe`.

## Overview

"Default: no" measures are computed only when named.
"""
VALIDATION = """\
## Validation

Tests check, for every measure: each declared invariance on random features; its value for equal
inputs; its value for independent inputs of 4,000 rows (the null); for every similarity, that it
grows with the variance that two layers share; closed forms; and a network with permuted channels,
which must count as the same network. The table names the independent implementation that gives the
same number on a stored input (200 rows, 16 and 12 features, 5 classes; relative difference below
1e-10, for torchmetrics' float32 1e-6, for the two optimisers of a temperature 1e-4).
"""


def page(
    measures: Iterable[Measure], sources: Mapping[str, str], readings: Mapping[str, str]
) -> str:
    """Return the page.

    `sources` names what each measure was checked against, `readings` says of each of `PICTURES`
    how to read it.
    """
    measures = list(measures)
    parts = [HEAD, _overview(measures)]
    for kind, title in KINDS.items():
        parts.append(f"## {title}\n")
        parts += [_section(measure) for measure in measures if measure.kind == kind]
        parts += [_picture(name, readings[name]) for name in PICTURES[kind]]
    parts += [
        VALIDATION,
        _table(
            ("measure", "checked against"),
            (
                (
                    f"`{measure.name}`",
                    sources.get(measure.name, "no second implementation is known"),
                )
                for measure in measures
            ),
        ),
    ]
    return "\n".join(parts)


def _overview(measures: Iterable[Measure]) -> str:
    head = ("measure", "of", "unit", "range", "direction", "cost", "default")
    ranked = sorted(measures, key=lambda measure: [*KINDS].index(measure.kind))
    return _table(
        head,
        (
            (
                f"[`{measure.name}`](#{measure.name})",
                KINDS[measure.kind].lower(),
                measure.unit,
                _range(measure),
                DIRECTIONS[measure.direction],
                measure.cost,
                "yes" if measure.default else "no",
            )
            for measure in ranked
        ),
    )


def _range(measure: Measure) -> str:
    low, high = ("" if end is None else f"{end:g}" for end in measure.range)
    if low and high:
        return f"{low} to {high}"
    return f"from {low} up" if low else f"up to {high}" if high else "unbounded"


def _picture(name: str, reading: str) -> str:
    text = f"Figure `{name}` of the round `rounds/digits.yaml`. How to read it: {reading}"
    return f"![Figure {name} of the digits round](images/measures-{name}.png)\n\n{fill(text, 99)}\n"


def _section(measure: Measure) -> str:
    rows = {
        "Definition": measure.definition,
        "Invariant to": "; ".join(INVARIANCES[name] for name in measure.invariances) + ".",
        "Range": _range(measure)
        + (f" {measure.unit}" if measure.unit else "")
        + f"; {DIRECTIONS[measure.direction]}.",
        "Floor": measure.floor,
        "Ceiling": measure.ceiling,
        "Pitfalls": measure.pitfalls,
        "How to read": measure.reading,
        "Figures": FIGURES.get(measure.name, ""),
        "Needs": ", ".join(NEEDS[name] for name in measure.needs) + "." if measure.needs else "",
        "Detail columns": ", ".join(f"`{name}`" for name in measure.details),
        "Source": measure.citation + ".",
    }
    lines = [
        fill(f"- **{title}:** {text}", 99, subsequent_indent="  ", break_long_words=False)
        for title, text in rows.items()
        if text
    ]
    return f"### {measure.name}\n\n" + "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
