"""A site profile: one TOML file that describes a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    model_validator,
)

from stillhouse.config.toml_file import read_toml
from stillhouse.errors import ConfigError
from stillhouse.fields import Form, problems

MEMORY_GROWTH = 1.5
MARGIN = 180  # seconds


def seconds(value: Any) -> Any:
    """Convert `2:00:00`, `30:00` or a number of seconds to seconds."""
    if isinstance(value, str) and re.fullmatch(r"(\d+:)?\d{1,3}:\d{2}", value):
        total = 0
        for part in value.split(":"):
            total = 60 * total + int(part)
        return total
    return value


# Far above any cluster's limits, and below what a scheduler or a clock rejects.
MAX_COUNT, MAX_SECONDS = 10**6, 366 * 24 * 3600
Seconds = Annotated[
    int,
    BeforeValidator(seconds),
    Field(gt=0, le=MAX_SECONDS, description="a time such as 2:00:00 (h:mm:ss)"),
]
Positive = Annotated[StrictInt, Field(ge=1, le=MAX_COUNT)]
Count = Annotated[StrictInt, Field(ge=0, le=MAX_COUNT)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9@._:+-]*$", max_length=1000)]
Line = Annotated[str, Field(pattern=r"^[!-~][ -~]*$", max_length=1000)]
Text = Annotated[str, Field(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=1000)]


class Strict(BaseModel):
    """Immutable; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(Strict):
    """The resources of one job."""

    cpus: Positive = 1
    memory_gb: Positive = 4
    gpus: Count = 0
    walltime: Seconds

    def more_memory(self, times: int) -> int:
        """Return the gigabytes to request after running out of memory `times` times."""
        return int(self.memory_gb * MEMORY_GROWTH**times + 0.5)


class Special(Strict):
    """Other resources for the runs of a dataset, a model, or a model on a dataset."""

    dataset: Word | None = None
    model: Word | None = None
    cpus: Positive | None = None
    memory_gb: Positive | None = None
    gpus: Count | None = None
    walltime: Seconds | None = None


class Environment(Strict):
    """The set-up of a job before Python."""

    modules: tuple[Text, ...] = ()
    activate: tuple[Text, ...] = ()
    python: Text = ""
    variables: dict[Variable, Text] = {}


class Site(Strict):
    """A profile; the fields are explained in docs/clusters.md."""

    scheduler: Literal["pbs", "slurm"]
    queue: Word = ""
    project: Word = ""
    mail: Word = ""
    directives: tuple[Line, ...] = ()
    commands: Text = ""
    cap: Positive
    margin: Seconds = MARGIN
    grace: Seconds = 300
    memory_ceiling_gb: Positive | None = None
    resources: Resources
    special: tuple[Special, ...] = ()
    environment: Environment = Environment()
    data: Text = ""

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        for walltime in (self.resources.walltime, *(one.walltime for one in self.special)):
            if walltime is not None and walltime <= self.margin:
                raise ValueError(f"walltime {walltime} s leaves no time after the margin")
        return self

    def asks(self, dataset: str, model: str) -> Resources:
        """Return the resources of a run; later matching `special` entries take precedence."""
        found = self.resources
        for special in self.special:
            if special.dataset in (None, dataset) and special.model in (None, model):
                asked = special.model_dump(exclude={"dataset", "model"}, exclude_none=True)
                found = found.model_copy(update=asked)
        return found

    @property
    def ceiling(self) -> int:
        """Return the most gigabytes that a job may request."""
        return self.memory_ceiling_gb or 2 * self.resources.memory_gb


FORM = Form(
    {(): Site, ("resources",): Resources, ("special",): Special, ("environment",): Environment},
    field="{} = ...",
    section="[{}]",
    characters="expected characters without a special meaning for a scheduler or a shell",
)


def find_site(root: Path, name: str) -> Path:
    """Find the profile of a path, or of NAME in `sites/NAME.toml` below the root or here."""
    tried = [Path(name), *(folder / f"{name}.toml" for folder in _folders(root))]
    for path in tried:
        if path.is_file():
            return path.resolve()
    looked = ", ".join(str(path) for path in tried)
    raise ConfigError(f"no site profile for '{name}'", f"looked for {looked}")


def has_sites(root: Path) -> bool:
    """Whether there is any profile below the root or here."""
    return any(True for folder in _folders(root) for _ in folder.glob("*.toml"))


def _folders(root: Path) -> tuple[Path, Path]:
    return root / "sites", Path("sites")


def load_site(path: Path) -> Site:
    """Read the profile in a file. Raises ConfigError naming file, line and field."""
    source = read_toml(path)
    try:
        return Site.model_validate(source.data)
    except ValidationError as invalid:
        raise source.error(problems(invalid, FORM)) from None
