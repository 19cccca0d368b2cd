"""Control: cross entropy with its weight from logit distillation, and no other term.

A gain over `pure` comes from the smaller gradient (a smaller learning rate, and a larger relative
strength of weight decay), not from a teacher.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stillhouse.methods.base import Card, Method, MethodConfig, Reference


class CeScaled(Method):
    """(1 - alpha) * CE alone, no teacher."""

    label = "Control: CE scaled"
    family = "control"
    mixed_images = True
    capturable = True
    taught_by = "nobody"
    needs = frozenset()
    card = Card(
        formula="(1 - alpha) CE(z_s, y); under the reference total `coefficient` times CE",
        layers="logits",
        hazards=(
            (
                "it differs from pure by the learning rate and by what weight decay weighs "
                "beside the loss"
            ),
        ),
    )

    class Config(MethodConfig):
        """`coefficient` of CE where the total is `reference`: logit's if not given."""

        coefficient: Annotated[float, Field(gt=0, le=1)] = 0.1

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return 0.1 CE, the weight of CE in logit distillation."""
        assert isinstance(config, cls.Config)
        return Reference(ce=config.coefficient, weights={}, alpha=0.9)
