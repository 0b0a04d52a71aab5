"""The command line: one file a verb, each with `configure(parser)` and `run(options)`."""

from dscim.host.cli.entry import main

__all__ = ["main"]
