"""`python -m dscim`: the command line."""

import sys

from dscim.host.cli import main

if __name__ == "__main__":
    sys.exit(main())
