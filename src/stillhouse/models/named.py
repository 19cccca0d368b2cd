"""Networks of torchvision and timm by name, and a network with options. Imports no torch.

A round file names `torchvision/resnet18`, or `{name: torchvision/resnet18, stem: small, ...}`. In
folders, tables and run records the slash is a dot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, model_validator

LIBRARIES = ("torchvision", "timm")
TIMM = "pip install 'stillhouse[timm]'"
LABEL = r"^[A-Za-z][A-Za-z0-9._-]*$"
BETWEEN = "_to_"  # between teacher and student in a run's folder
PRETRAINED = "pretrained"
SUGGESTED = 8
_REGISTERED = re.compile(r"^@register_model\b(?:.*\n@?.*?)*?^def (\w+)\(", re.MULTILINE)
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6)]
_Spread = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e6)]
_Argument = StrictBool | Annotated[int, Field(strict=True)] | _Number | str


def label_of(name: str) -> str:
    """`torchvision/resnet18` -> `torchvision.resnet18`; other names stay as they are."""
    library, slash, rest = name.partition("/")
    return f"{library}.{rest}" if slash and library in LIBRARIES else name


def split(name: str) -> tuple[str, str] | None:
    """Return the library and its name of `timm/resnet18` or `timm.resnet18`, else None."""
    library, dot, rest = label_of(name).partition(".")
    return (library, rest) if dot and library in LIBRARIES else None


class NamedNetwork(BaseModel):
    """A network of a round file with options; two with the same identity are the same network.

    `label` (in the file `as`) is what folders and tables call it. `sha256` is that of the file
    `weights`; None if there is no file and the round file does not state it. `normalise` holds the
    mean and the standard deviation per channel, of pixels in [0, 1], with which the weights were
    trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    label: Annotated[str, Field(alias="as", pattern=LABEL, max_length=100)] = ""
    weights: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    key: str = ""
    stem: Literal["published", "small"] = "published"
    normalise: tuple[tuple[_Number, ...], tuple[_Spread, ...]] | None = None
    train: StrictBool = True
    arguments: dict[str, _Argument] = {}

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any, info: ValidationInfo) -> Any:
        """Find the file and its hash, if the context's `folder` says that a round file is read."""
        folder = (info.context or {}).get("folder")
        if not isinstance(given, dict) or folder is None:
            return given
        name, weights, expected = (given.get(field) for field in ("name", "weights", "sha256"))
        completed = {"as": label_of(name) if isinstance(name, str) else "", **given}
        if isinstance(weights, str) and isinstance(name, str):
            file = pretrained_file(name) if weights == PRETRAINED else folder / weights
            found = _hash(file)
            if expected is not None and found not in (None, expected):
                raise ValueError(f"{file} has the SHA-256 {found}, not the given one")
            completed |= {"weights": os.path.abspath(file), "sha256": found or expected}
        return completed

    @model_validator(mode="after")
    def _consistent(self) -> NamedNetwork:
        if BETWEEN in self.label:
            raise ValueError(f"the name '{self.label}' must not contain '{BETWEEN}'")
        library = split(self.name) is not None
        if not library and (self.stem != "published" or self.arguments):
            raise ValueError(
                "`stem` and `arguments` are for the networks of torchvision and timm, not for "
                f"'{self.name}'"
            )
        if self.sha256 is not None and self.weights is None:
            raise ValueError("`sha256` is that of a file: give it as `weights`")
        if self.normalise and len(self.normalise[0]) != len(self.normalise[1]):
            raise ValueError(
                "`normalise` needs one mean and one deviation per channel: [[0.5], [0.25]]"
            )
        return self

    @property
    def plain(self) -> bool:
        """Return whether it is the network of its name without any option."""
        return self == NamedNetwork(name=self.name, label=label_of(self.name))

    def counted(self) -> dict[str, Any]:
        """Return what determines its numbers, as plain JSON values; defaults are left out.

        The place of the weights is not part of it: their SHA-256 is.
        """
        return self.model_dump(
            mode="json", exclude={"label", "weights", "train"}, exclude_defaults=True
        )


Networks = tuple[NamedNetwork, ...]


def find(label: str, networks: Iterable[NamedNetwork]) -> NamedNetwork | None:
    """Return the network with options of that label, if it is among `networks`."""
    return next((one for one in networks if one.label == label), None)


def suggested(label: str) -> list[str]:
    """Return the nearest names of a library, if `label` is not one of its networks.

    The names are read from the library's text; a library that is not installed has none, and
    building the network says so.
    """
    found = split(label)
    if found is None:
        return []
    library, name = found
    known = names(library)
    bare = name.partition(".")[0] if library == "timm" else name
    near = get_close_matches(bare, known, SUGGESTED, 0.0)
    return [] if bare in known else [f"{library}/{one}" for one in near]


@cache
def names(library: str) -> tuple[str, ...]:
    """Return the names of a library's classifiers, read from its text without importing it."""
    found: list[str] = []
    for file in _texts(library):
        found += _REGISTERED.findall(file.read_text(encoding="utf-8"))
    return tuple(sorted(found))


def pretrained_file(name: str) -> Path:
    """Return the file in which a library keeps the weights of a network after a download.

    torchvision's default weights lie in torch hub's folder, timm's in that of the Hugging Face hub.
    Raises ValueError if the library names no file.
    """
    found = split(name)
    if found is None:
        raise ValueError(f"`weights: pretrained` is for torchvision and timm, not for '{name}'")
    library, model = found
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if library == "torchvision":
        hub = Path(os.environ.get("TORCH_HOME") or home / "torch")
        return hub / "hub" / "checkpoints" / _torchvision_file(model)
    if "." not in model:
        model = f"{model}.{_timm_version(model)}"
    kept = Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub"
    kept = Path(os.environ.get("HF_HUB_CACHE") or kept) / f"models--timm--{model}"
    head = kept / "refs" / "main"
    version = head.read_text().strip() if head.is_file() else "main"
    return kept / "snapshots" / version / "model.safetensors"


def _torchvision_file(model: str) -> str:
    for file in _texts("torchvision"):
        text = file.read_text(encoding="utf-8")
        head = rf"^def {re.escape(model)}\(\s*\*,\s*weights: Optional\[(\w+)\]"
        if found := re.search(head, text, re.M):
            body = text.partition(f"class {found[1]}(WeightsEnum):")[2].partition("\n\n\n")[0]
            default = re.search(r"^    DEFAULT = (\w+)", body, re.M)
            member = body.partition(f"    {default[1] if default else ''} = Weights(")[2]
            if url := re.search(r"url=\"[^\"]*/([^/\"]+)\"", member):
                return url[1]
    raise ValueError(f"torchvision names no trained weights for '{model}'")


def _timm_version(model: str) -> str:
    """Return the trained version that timm takes for a name without one."""
    for file in _texts("timm"):
        text = file.read_text(encoding="utf-8")
        tags: list[str] = re.findall(
            rf"^    [\"']{re.escape(model)}\.([\w*]+)[\"']:", text, re.MULTILINE
        )
        if tags := [tag for tag in tags if tag != "untrained"]:
            return next((tag for tag in tags if tag.endswith("*")), tags[0]).rstrip("*")
    raise ValueError(
        f"the trained versions of 'timm/{model}' are not known here: install timm, or name one, as "
        "`timm/resnet18.a1_in1k` does"
    )


def _texts(library: str) -> list[Path]:
    home = find_spec(library)
    if home is None or home.origin is None:
        return []
    return sorted((Path(home.origin).parent / "models").glob("*.py"))


def _hash(file: Path) -> str | None:
    """Return a file's SHA-256; None if there is no such file, which training refuses."""
    try:
        status = file.stat()
    except OSError:
        return None
    return _hash_of(file, status.st_size, status.st_mtime_ns) if file.is_file() else None


@cache
def _hash_of(file: Path, size: int, changed: int) -> str:
    digest = sha256()
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
