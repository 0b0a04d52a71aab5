"""Yosys as studies need it: a missing one is told at once, its version stands beside results."""

from functools import cache

from dscim.errors import UserError


@cache
def yosys(study: str) -> str:
    """The version of Yosys that `study` counts gates with; UserError without one."""
    from dscim.host.fpga.cells.synthesis import yosys_version  # noqa: PLC0415 - Migen, slow to import

    try:
        return yosys_version()
    except FileNotFoundError as error:
        raise UserError(f"The study {study} needs Yosys: pip install 'dscim[formal]'.") from error
