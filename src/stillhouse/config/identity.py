"""The identity of a run: two runs with the same identity have the same numbers.

Every field of `RunConfig` is part of it, except fields that cannot change a number:

- the path of a custom component: its name and the start of its SHA-256 are part of it;
- the place of a network's weights, whose SHA-256 is part of it;
- `axes`: the values of a sweep, which are also in `distillation` or `parameters`;
- `distillation` and `parameters` of a pure run;
- `distillation.alpha` if the total is the published one;
- fields of `training` without effect beside the others, as `crop_padding` without `pad_crop` (see
  `schema.ONLY_WITH`);
- fields added after format 1, if they have their default (see `format_1`).

A renamed dataset, model or method has its first name here. `counted` is the only place with these
rules. Whole floats equal their integers (4.0 is 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from stillhouse.config import renamed
from stillhouse.config.format_1 import is_later
from stillhouse.config.schema import ONLY_WITH, RunConfig, Training

FILE_DIGITS = 16


def counted(config: RunConfig) -> dict[str, Any]:
    """Return the fields of the identity as plain JSON values."""
    fields: dict[str, Any] = config.model_dump(mode="json", exclude={"axes", "files", "networks"})
    if config.networks:
        fields["networks"] = {network.label: network.counted() for network in config.networks}
    if config.files:
        fields["files"] = {file.name: file.sha256[:FILE_DIGITS] for file in config.files}
    if config.method == "pure":
        del fields["distillation"], fields["parameters"]
    elif config.distillation.total == "reference":
        del fields["distillation"]["alpha"]
    _drop_without_effect(config.training, fields["training"])
    _drop_later_defaults(config, fields)
    for kind in renamed.NEW_NAMES:
        fields[kind] = renamed.first(kind, fields[kind])
    if config.teacher:
        fields["teacher"]["model"] = renamed.first("model", config.teacher.model)
    plain: dict[str, Any] = _plain(fields)
    return plain


def counted_recipe(training: Training) -> dict[str, Any]:
    """Return the fields of a recipe that are part of the identity as plain JSON values."""
    fields = training.model_dump(mode="json")
    _drop_without_effect(training, fields)
    _drop_later_defaults(training, fields, "training.")
    plain: dict[str, Any] = _plain(fields)
    return plain


def canonical(config: RunConfig) -> str:
    """Return the fields of the identity as canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(counted(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity(config: RunConfig) -> str:
    """Return the SHA-256 of `canonical`, 64 hexadecimal digits."""
    return sha256(canonical(config).encode()).hexdigest()


def identity_of_all(configs: Iterable[RunConfig]) -> str:
    """Return one hash for several runs, in order."""
    return sha256("\n".join(map(identity, configs)).encode()).hexdigest()


def difference(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the dotted fields in which two nested dicts differ, with both values."""
    left, right = dict(flatten(a)), dict(flatten(b))
    keys = dict.fromkeys([*left, *right])
    return [
        (key, left.get(key), right.get(key))
        for key in keys
        if key not in left or key not in right or _plain(left[key]) != _plain(right[key])
    ]


def as_written(value: Any) -> str:
    """A setting as a round file has it: `true`, `0.05`, `[pad_crop, flip]`; None is `not set`."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def flatten(fields: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a nested dict as (dotted field, value); an empty dict has none."""
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _drop_without_effect(training: Training, fields: dict[str, Any]) -> None:
    for name in ONLY_WITH:
        if not training.uses(name):
            del fields[name]


def _drop_later_defaults(model: BaseModel, fields: dict[str, Any], prefix: str = "") -> None:
    """Remove from a model's dumped `fields` those added later that have their default."""
    for name, default in _defaults(type(model)).items():
        value = getattr(model, name)
        if name not in fields:
            continue
        if is_later(prefix + name) and value == default:
            del fields[name]
        elif isinstance(value, BaseModel):
            _drop_later_defaults(value, fields[name], f"{prefix}{name}.")


@cache
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    fields = model.model_fields.items()
    return {name: info.get_default(call_default_factory=True) for name, info in fields}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
