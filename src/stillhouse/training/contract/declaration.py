"""Check the declarations of a method, which listings and tables mostly read as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import get_args

from stillhouse import methods
from stillhouse.methods.base import Card, MethodConfig, Need, TaughtBy
from stillhouse.methods.objective import Total, coefficients
from stillhouse.training.contract.setup import EPOCHS, MethodCase
from stillhouse.training.contract.verdict import CheckFailed, require


def label_and_taught_by_are_literals(case: MethodCase) -> None:
    """Label and taught_by are read from the text of the file; `needs` agrees with them."""
    kind = case.kind
    for name, said, read in (
        ("label", getattr(kind, "label", None), methods.declared(case.name, case.files).label),
        ("taught_by", kind.taught_by, methods.declared(case.name, case.files).taught_by),
    ):
        require(
            said == read,
            f"{name} is {said!r}, but the file's text says {read!r}",
            f'write {name} = "..." in the body of the class: it is read without running the file',
        )
    allowed, needs = get_args(TaughtBy), set(get_args(Need))
    require(kind.taught_by in allowed, f"taught_by is '{kind.taught_by}'", f"one of {allowed}")
    unknown = kind.needs - needs
    require(not unknown, f"needs holds {sorted(unknown)}", f"expected some of {sorted(needs)}")
    require(
        case.has_teacher == (kind.taught_by != "nobody"),
        f"taught_by is '{kind.taught_by}', but needs is {sorted(kind.needs)}",
        "a method with a teacher needs 'teacher', and no other method does",
    )


def the_card_is_filled_in(case: MethodCase) -> None:
    """The card has a formula and layers; hazards are sentences."""
    card = getattr(case.kind, "card", None)
    if not isinstance(card, Card):
        raise CheckFailed("it has no card", 'give the class card = Card("formula", "layers", ())')
    for name, text in (("formula", card.formula), ("layers", card.layers)):
        require(bool(text.strip()), f"the card's {name} is empty")
    hazards = not isinstance(card.hazards, str) and all(card.hazards)
    require(hazards, "the card's hazards are not a tuple of sentences")


def the_config_has_defaults_and_survives_json(case: MethodCase) -> None:
    """Config has defaults, and the recorded values make the same method again."""
    kind = case.kind
    require(
        issubclass(kind.Config, MethodConfig),
        "Config is not a MethodConfig",
        "derive Config from MethodConfig",
    )
    listed, fields = (
        methods.declared(case.name, case.files).parameters,
        (*kind.Config.model_fields,),
    )
    require(
        listed == fields,
        f"Config has the fields {fields}, but the file's text says {listed}",
        "write every field in Config, or derive Config from that of a built-in method",
    )
    config = kind.Config(**case.options)
    text = json.dumps(config.model_dump(mode="json"))
    again = kind.Config(**json.loads(text))
    require(again == config, f"Config is not the same after JSON: {config!r} became {again!r}")


def weights_name_exactly_the_terms(case: MethodCase) -> None:
    """Weights name exactly the terms, in every epoch and for every total."""
    setup = case.setup()
    terms = setup.terms(setup.forward(setup.student)).keys()
    reference = case.kind.reference(setup.method.config)
    totals: tuple[Total, ...] = ("reference", "convex", "additive")
    for total in totals if reference.ce else totals[:1]:
        chosen = coefficients(reference, total, None)
        for epochs in (1, 2, EPOCHS):
            for epoch in range(epochs):
                weights = setup.method.weights(chosen, epoch, epochs)
                require(
                    weights.keys() == terms,
                    f"the terms are {sorted(terms)}, but the weights in epoch {epoch + 1} of "
                    f"{epochs} are those of {sorted(weights)}",
                    "reference() and weights() name every term, and 'ce' for cross entropy",
                )
                require(any(weights.values()), f"all weights are 0 in epoch {epoch + 1}")


CHECKS: dict[str, Callable[[MethodCase], None]] = {
    "label and taught_by are literals": label_and_taught_by_are_literals,
    "the card is filled in": the_card_is_filled_in,
    "Config has defaults and survives JSON": the_config_has_defaults_and_survives_json,
    "weights name exactly the terms": weights_name_exactly_the_terms,
}
