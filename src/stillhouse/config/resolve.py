"""Resolve runs of the matrix: every parameter of every method gets its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from stillhouse import methods
from stillhouse.config.format_1 import is_later_parameter
from stillhouse.config.schema import RunConfig
from stillhouse.errors import ConfigError
from stillhouse.fields import first_fault

if TYPE_CHECKING:
    from stillhouse.methods.base import Method


def resolve(run: RunConfig) -> RunConfig:
    """Fill in the method's defaults and its loss weight alpha; imports torch.

    Parameters added after format 1 are filled in only if they differ from their default. Raises
    ConfigError naming the method's invalid parameter.
    """
    kind = methods.load(run.method, run.files)
    try:
        config = kind.Config(**run.parameters)
    except ValidationError as error:
        known = ", ".join(kind.Config.model_fields) or "none"
        raise ConfigError(
            f"method {run.method}: {first_fault(error)}", f"its parameters: {known}"
        ) from error
    weighing = run.distillation
    if weighing.total == "reference":
        weighing = weighing.model_copy(update={"alpha": None})
    elif weighing.alpha is None:
        weighing = weighing.model_copy(update={"alpha": kind.reference(config).alpha})
    defaults = {name: field.default for name, field in kind.Config.model_fields.items()}
    parameters = {
        name: value
        for name, value in config.model_dump(mode="json").items()
        if not _came_later(kind, name) or getattr(config, name) != defaults[name]
    }
    return run.model_copy(update={"parameters": parameters, "distillation": weighing})


def _came_later(kind: type[Method], parameter: str) -> bool:
    """Whether the built-in method that declares it, for itself or a user's own, got it later."""
    owners = [base for base in kind.Config.__mro__ if _has(base, parameter)]
    package, _, name = owners[-1].__module__.rpartition(".")
    return package == methods.__name__ and is_later_parameter(name, parameter)


def _has(config: type, parameter: str) -> bool:
    return issubclass(config, BaseModel) and parameter in config.model_fields
