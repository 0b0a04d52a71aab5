"""The command line: one file per verb, each with its `Options`, `run(options)` and `COMMAND`."""

from dscim.host.cli.entry import main

__all__ = ["main"]
