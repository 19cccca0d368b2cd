"""Weights from files that other programs wrote: read without executing anything, matched, loaded.

Read are `.safetensors`, and what `torch.save` writes, as RepDistiller, mdistiller, torchdistill and
timm use it: a state dict, alone or in a dict beside an `argparse.Namespace`, NumPy numbers and the
state of an optimizer.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from stillhouse.errors import RunError, one_line, some
from stillhouse.models.base import Network
from stillhouse.models.named import NamedNetwork
from stillhouse.runs.files import file_hash

CONTAINERS = ("weights", "state_dict", "model_state_dict", "model")
SPELLINGS = {"conv1": "conv", "bn1": "bn", "linear": "head", "fc": "head"}
WRAPPED = "module."
SHOWN = 3
PLAIN = "save only tensors: torch.save(model.state_dict(), file), or safetensors"
NUMBERS = ("float64", "float32", "float16", "int64", "int32", "bool")
SAFE: list[Any] = [
    Namespace,
    np.dtype,
    *(type(np.dtype(name)) for name in NUMBERS),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
]


def read_weights(file: Path, key: str = "") -> dict[str, Tensor]:
    """Read the named tensors of a file; nothing in it is executed.

    `key` names what is taken: an entry of the saved dict (`state_dict_ema`), or the beginning of
    the weights' names, which is cut off (`module.student.`). Without it a state dict, alone or
    under one of `CONTAINERS`, is taken. Raises RunError for anything else.
    """
    try:
        if file.suffix == ".safetensors":
            loaded: Any = safetensors.torch.load_file(file)
        else:
            with torch.serialization.safe_globals(SAFE):
                loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file may raise anything
        raise RunError(
            f"{file}: not readable as weights ({_reason(file, error)})", PLAIN
        ) from error
    if not isinstance(loaded, dict):
        raise RunError(f"{file}: holds a {type(loaded).__name__}, expected a state dict", PLAIN)
    found = _chosen(loaded, key)
    if not found or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise RunError(
            f"{file}: expected a state dict{f' under {key}' if key else ''}; it holds "
            f"{some([str(name) for name in loaded], SHOWN)}",
            "name the entry or the beginning of the weights' names with `key:`, as in "
            "`key: state_dict_ema` or `key: module.student.`",
        )
    return found


def _reason(file: Path, error: Exception) -> str:
    """Say in a line why a file was not read: which names of code it holds, if those are why."""
    if file.suffix != ".safetensors":
        try:
            unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(file)
        except Exception:  # noqa: BLE001 - a hostile file may raise anything
            unsafe = []
        known = {"argparse.Namespace", "numpy.dtype"}
        code = [name for name in unsafe if name not in known and not name.startswith("numpy.")]
        if code:
            return f"it refers to {some(code, SHOWN)}, which may execute code"
    if isinstance(error, UnpicklingError):  # its text is advice to load the file unsafely
        return "it holds something else than tensors and plain values, or is damaged"
    return one_line(error)


def _chosen(loaded: dict[Any, Any], key: str) -> dict[str, Tensor]:
    if isinstance(loaded.get(key), dict):
        return dict(loaded[key])
    found = next((loaded[name] for name in CONTAINERS if name in loaded), loaded)
    if not isinstance(found, dict):
        return {}
    if not key:
        return dict(found)
    start = key if key.endswith(".") else f"{key}."
    return {
        name.removeprefix(start): value
        for name, value in found.items()
        if isinstance(name, str) and name.startswith(start)
    }


def put_weights(network: nn.Module, weights: dict[str, Tensor], file: Path) -> str:
    """Load weights by the network's names, by the field's usual ones, or else in their order.

    The order counts only if as many tensors have the same kinds and shapes. Returns what a reader
    should know of the match; empty if the names are the same. Raises RunError naming missing,
    additional or differently shaped weights.
    """
    expected = network.state_dict()
    spelt = _spellings(weights)
    fitting = (one for one in spelt if not _mismatch(one, expected))
    if (found := next(fitting, None)) is not None:
        network.load_state_dict(found)
        return ""
    if _alike(list(weights.items()), list(expected.items())):
        network.load_state_dict(dict(zip(expected, weights.values(), strict=True)))
        pair = next((a, b) for a, b in zip(weights, expected, strict=True) if a != b)
        return f"its weights were matched by their order, as {pair[0]} to {pair[1]}"
    wrong = _mismatch(_nearest(spelt, expected), expected)
    raise RunError(
        f"{file}: its weights are not this network's ({wrong})",
        "check the model, the dataset's number of classes and channels, and `key:`",
    )


def start_from(network: Network, named: NamedNetwork) -> list[str]:
    """Load the weights with which training starts; return what was drawn anew or changed.

    A classifier for other classes keeps its random weights, as does the stem with `stem: small`;
    weights of the first convolution are summed for greyscale images. Raises RunError if the file
    has changed or its weights are not this network's.
    """
    file = checked_file(named)
    weights = read_weights(file, named.key)
    expected = network.state_dict()
    head = {id(one) for one in network.head.parameters()}
    own = {name for name, one in network.named_parameters() if id(one) in head}
    first = next((name for name, one in expected.items() if one.dim() == 4), "")
    best = dict(_nearest(_spellings(weights), expected))
    notes = []
    for name in sorted(own | {first}):
        value, there = expected.get(name), best.get(name)
        if value is None or there is None or value.shape == there.shape:
            continue
        if name == first and there.sum(1, keepdim=True).shape == value.shape:
            best[name] = there.sum(1, keepdim=True)
            notes.append(f"{name} was summed over the channels of the file")
        elif name in own or named.stem == "small":
            best[name] = value
            notes.append(f"{name} starts from random weights, as the file's has another shape")
    return [*filter(None, [put_weights(network, best, file)]), *notes]


def checked_file(named: NamedNetwork) -> Path:
    """Return the file of a network's weights. Raises RunError if it is not there or has changed."""
    file = Path(named.weights or "")
    if not file.is_file():
        raise RunError(f"the weights of {named.name} are not there: {file}", _cure(named))
    if file_hash(file) != named.sha256:
        raise RunError(
            f"{file} has changed since the round file was read", "restore it, or repeat the command"
        )
    return file


def _cure(named: NamedNetwork) -> str:
    library, _, name = named.name.partition("/")
    file = Path(named.weights or "")
    if library == "torchvision" and "checkpoints" in file.parts:
        code = f"from torchvision.models import {name}; {name}(weights='DEFAULT')"
        return f'download them once: python -c "{code}"'
    if library == "timm" and "snapshots" in file.parts:
        code = f"import timm; timm.create_model('{name}', pretrained=True)"
        return f'download them once: python -c "{code}"'
    return "put the file there, or correct `weights:`"


def _mismatch(found: dict[str, Tensor], expected: dict[str, Tensor]) -> str:
    """Return in words in which names and shapes two state dicts differ; empty if in none."""
    wrong = [
        ("missing", [name for name in expected if name not in found]),
        ("not of this network", [name for name in found if name not in expected]),
        (
            "of another shape",
            [n for n in expected if n in found and found[n].shape != expected[n].shape],
        ),
    ]
    return "; ".join(f"{what}: {some(names, SHOWN)}" for what, names in wrong if names)


def _alike(a: list[tuple[str, Tensor]], b: list[tuple[str, Tensor]]) -> bool:
    """Whether two lists of weights have the same kinds and shapes in the same order."""
    kinds = (
        [(name.rpartition(".")[2], tuple(value.shape)) for name, value in one] for one in (a, b)
    )
    return next(kinds) == next(kinds)


def _spellings(weights: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the weights by their names, without `DataParallel`'s prefix, and by our names."""
    bare = {name.removeprefix(WRAPPED): value for name, value in weights.items()}
    return [weights, bare, {_own_name(name): value for name, value in bare.items()}]


def _nearest(spelt: list[dict[str, Tensor]], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the spelling with the fewest names that only one side has."""
    return min(spelt, key=lambda one: len(one.keys() ^ expected.keys()))


def _own_name(name: str) -> str:
    first, dot, rest = name.partition(".")
    return f"{SPELLINGS.get(first, first)}{dot}{rest}".replace(".downsample.", ".shortcut.")
