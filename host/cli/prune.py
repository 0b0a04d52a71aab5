"""`dscim prune`: costs, tables, training, search and reports of pruned networks."""

import argparse

from dscim.host.cli import (
    prune_cost,
    prune_report,
    prune_retrain,
    prune_search,
    prune_select,
    prune_table,
    prune_train,
)

STEPS = {
    "cost": ("multiply-accumulates and parameters of a structure", prune_cost),
    "table": ("cycles of every operation over its widths, from the cycle model", prune_table),
    "train": ("the network that generates the weights of every structure", prune_train),
    "search": ("the best structure within hard budgets", prune_search),
    "select": ("a few of the structures found, trained for real and compared", prune_select),
    "retrain": ("a structure trained from scratch, in integers, exported", prune_retrain),
    "report": ("searched structures beside their baselines", prune_report),
}
"""Every step, its summary and its module."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the steps of `dscim prune`."""
    commands = parser.add_subparsers(required=True, metavar="STEP", dest="step")
    for name, (summary, module) in STEPS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        module.configure(command)
        command.set_defaults(run_step=module.run)


def run(options: argparse.Namespace) -> int:
    """Runs one step and returns its exit status."""
    status: int = options.run_step(options)
    return status
