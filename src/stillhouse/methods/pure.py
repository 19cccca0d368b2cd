"""No distillation: cross entropy alone. The teacher and the baseline student are trained so."""

from __future__ import annotations

from stillhouse.methods.base import Method, MethodConfig, Reference


class Pure(Method):
    """Cross entropy, no teacher."""

    label = "Student pure"
    needs = frozenset()

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """CE."""
        return Reference(ce=1.0, weights={})
