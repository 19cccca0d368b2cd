"""Figures: one style, one kind of figure per file. `FIGURES` says what each shows.

A module has `draw(tables, dataset)`, which returns a `Drawn` (drawn.py). This module imports
nothing, so that commands can list the figures at once.
"""

FIGURES = {
    "status": "state of every run",
    "accuracy": "test accuracy of every run, mean and standard deviation per method",
    "forest": "accuracy of every method less that of the pure student",
    "sweep": "accuracy over a swept parameter, with the controls",
    "heatmap": "difference to the pure student by method and swept parameter",
    "transfer": "excess and specificity of the similarity to the teacher, per layer",
    "cross_layer": "similarity of all layers to all of the teacher's, less the pure student's",
    "depth": "dimensions of the layers over depth",
    "probes": "classes read from each layer, linearly and by neighbours, over depth",
    "alignment": "accuracy against similarity to the teacher, within and between methods",
    "fidelity": "agreement with the teacher against accuracy",
    "centroids": "where the last layer puts the classes, beside the teacher's, aligned",
    "reliability": "confidence against accuracy",
    "confusion": "which classes are taken for which",
    "curves": "accuracy over the epochs, with what the doctor found",
}
