"""Figures: one style, one kind of figure per file. `FIGURES` says what each shows.

A module has `draw(tables, dataset)`, which returns a `Drawn` (drawn.py). This module imports
nothing, so that commands can list the figures at once.
"""

FIGURES = {
    "forest": "accuracy of every method less that of the pure student",
    "transfer": "excess and specificity of the similarity to the teacher, per layer",
    "cross_layer": "similarity of all layers to all of the teacher's, less the pure student's",
    "depth": "dimensions of the layers over depth",
    "probes": "classes read from each layer, linearly and by neighbours, over depth",
    "alignment": "accuracy against similarity to the teacher, within and between methods",
    "fidelity": "agreement with the teacher against accuracy",
}
