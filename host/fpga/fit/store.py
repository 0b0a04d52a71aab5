"""sizes.json: the synthesised designs, and the factors of the size model that follow from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dscim.files import save_json
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.factors import Factors, fit
from dscim.host.fpga.fit.measured import Measured

TABLE = Path(__file__).parent / "sizes.json"
COMMAND = "dscim dev sizes"
"""The command that adds to the table."""


def read_table(path: Path = TABLE) -> list[Measured]:
    """The rows of the table; none if there is no file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [
        Measured(Design.from_json(row["design"]), row["cells"], row["seconds"], row["yosys"])
        for row in rows
    ]


def read_factors(path: Path = TABLE) -> Factors:
    """The factors of the table."""
    return Factors.from_json(json.loads(path.read_text())["factors"])


def write_table(rows: Sequence[Measured], path: Path = TABLE) -> None:
    """Replaces the table and its factors, whole or not at all."""
    save_json(
        path,
        {
            "command": COMMAND,
            "factors": fit(rows).to_json(),
            "rows": [
                {
                    "name": row.design.name,
                    "lut4": row.lut4,
                    "design": row.design.to_json(),
                    "cells": row.cells,
                    "seconds": row.seconds,
                    "yosys": row.yosys,
                }
                for row in rows
            ],
        },
        indent=1,
    )
