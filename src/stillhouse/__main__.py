"""`python -m stillhouse`."""

import sys

if not sys.flags.safe_path:  # `-m` puts the current folder first: a `random.py` there would be run
    del sys.path[0]

from stillhouse.cli.main import main

main()
