"""`python -m dscim`, and the command `dscim`: the command line."""

import sys


def run() -> int:
    """Runs the command line and returns its exit status; Ctrl-C is one line from the start."""
    try:
        from dscim.host.cli import main  # noqa: PLC0415 - it takes a moment
    except KeyboardInterrupt:
        print("dscim: stopped.", file=sys.stderr)
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(run())
