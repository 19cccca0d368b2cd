"""No distillation: cross entropy alone, for the teacher and the baseline student."""

from __future__ import annotations

from stillhouse.methods.base import Card, Method, MethodConfig, Reference


class Pure(Method):
    """Cross entropy, no teacher."""

    label = "Student pure"
    family = "baseline"
    mixed_images = True
    capturable = True
    taught_by = "nobody"
    needs = frozenset()
    card = Card(
        formula="CE(z_s, y)",
        layers="logits",
        hazards=("the baseline of every difference: it must share recipe, seed and data order",),
    )

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """CE."""
        return Reference(ce=1.0, weights={})
