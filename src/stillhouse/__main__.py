"""`python -m stillhouse`."""

from stillhouse.cli.main import main

main()
