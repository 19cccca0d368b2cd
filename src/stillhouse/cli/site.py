"""`stillhouse site check SITE`: whether a cluster is as its profile says."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption
from stillhouse.cli.output import Format, show

app = typer.Typer(help="Profiles of clusters.", no_args_is_help=True)


@app.callback()
def site() -> None:
    """Profiles of clusters."""


@app.command()
def check(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A profile: a path, or its name.")],
    root: RootOption = HERE,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Try everything a job will need: commands, queue, Python, packages, data, disk, clock."""
    from stillhouse.cluster.check import check_site
    from stillhouse.cluster.site import find_site, load_site

    found = check_site(load_site(find_site(root, site)), root.resolve())
    show(found, format, f"stillhouse submit ROUND --site {site} --dry-run")
    raise typer.Exit(1 if any(row[1] == "BAD" for row in found.rows) else 0)
