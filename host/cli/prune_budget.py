"""The options that limit what a structure may cost."""

import argparse
from pathlib import Path

from dscim.errors import UserError
from dscim.host.research.prune import Space
from dscim.host.research.prune.budget import MEASURES, Budget
from dscim.host.research.prune.table import CostTable


def add_budget(parser: argparse.ArgumentParser) -> None:
    """Adds --budget and --costs."""
    parser.add_argument(
        "--budget",
        action="append",
        required=True,
        metavar="NAME=LIMIT",
        help=f"{', '.join(MEASURES)}; a number, or 50%% of the full network; several at once",
    )
    parser.add_argument(
        "--costs", type=Path, metavar="TABLE.json", help="the cost table, for cycles and memory"
    )


def limits_of(given: list[str], where: Space, table: CostTable | None) -> dict[str, int]:
    """The limits that --budget names; percentages are of the full network."""
    full = Budget(where, {}, table).costs(where.full)
    limits: dict[str, int] = {}
    for text in given:
        name, number, percent = parse(text)
        if name in limits:
            raise UserError(f"--budget {text} limits {name} twice; give it once.")
        if name not in full:
            raise UserError(
                f"--budget {text} needs --costs; build one with `dscim prune table "
                f"--space {where.name}`."
            )
        limits[name] = int(number * (full[name] / 100 if percent else 1))
    return limits


def parse(text: str) -> tuple[str, float, bool]:
    """What NAME=LIMIT limits, the number, and whether that is percent; UserError if it is none."""
    name, equals, value = text.partition("=")
    number = value.removesuffix("%")
    if name not in MEASURES or not equals or not _is_positive(number):
        raise UserError(
            f"--budget {text} is none; write NAME=LIMIT with {', '.join(MEASURES)} "
            "and a number, or a number with % of the full network."
        )
    return name, float(number), value != number


def limits_text(budget: Budget) -> str:
    """The limits in words."""
    return ", ".join(f"{limit} {MEASURES[name]}" for name, limit in budget.limits.items())


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
