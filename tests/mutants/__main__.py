"""`python -m mutants [NAME ...]`, with this folder's parent on PYTHONPATH, as `make mutants`."""

from __future__ import annotations

import sys
from pathlib import Path

from mutants.runner import Project, read_list, run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main(names: list[str]) -> int:
    known = read_list(HERE / "list.toml")
    if unknown := sorted(set(names) - {one.name for one in known}):
        print(f"error: no mutant is called {', '.join(unknown)} (see {HERE / 'list.toml'})")
        return 2
    chosen = [one for one in known if one.name in names] if names else known
    project = Project(ROOT / "src" / "stillhouse", ROOT / "tests", ROOT)
    return run(project, chosen, print)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
