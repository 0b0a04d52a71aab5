"""`dscim`: finds the verb, runs it, and turns every error into one sentence."""

import argparse
import importlib
import keyword
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from dscim.errors import UserError

VERBS = {
    "demo": "real images through the shipped network on the simulated SoC, checked layer by layer",
    "doctor": "tools found, their versions, and what to do about those that miss",
    "import": "a network file from a TensorFlow Lite INT8 or ONNX QDQ file",
    "sim": "serve the simulated SoC on a loopback port",
    "bench": "how fast the link to a target is, every word checked",
    "mvm": "one matrix product of .npy files on a target",
    "calibrate": "a network made ready for DS-CIM, from a few inputs without labels",
    "run": "a network on a target, each layer compared with the reference",
    "dataset": "a data set's images as a network's own input integers",
    "finetune": "train a network file through the DS-CIM product",
    "boards": "the boards that the SoC can be built for",
    "build": "a bitstream for a board that meets timing",
    "fit": "does a network fit a board, and how fast is it there: before any build",
    "macros": "DS-CIM and exact macros side by side on an ECP5",
    "load": "load a built bitstream into a board",
    "selftest": "is a target's device right, memory by memory, product by product",
    "scope": "the engine's and the macro's signals, cycle by cycle, from a device with LiteScope",
    "prune": "the best pruned network for a budget of operations, parameters or real cycles",
    "study": "a table or figure of the DS-CIM paper, computed, beside the paper's values",
}
"""Every verb and its summary. A verb's module is loaded only when it is called for."""

FAILED, MISUSED, STOPPED, BROKEN_PIPE = 1, 2, 130, 141


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a misuse as one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError with the message and where help is."""
        raise UserError(f"{message.rstrip('.')}; see `{self.prog} --help`.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit status.

    0: what was asked holds. 1: it does not (a layer differs, a tool is missing). 2: misuse or a
    failed target, one sentence on standard error. 130: stopped by Ctrl-C or a termination signal.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = _run(given)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("dscim: stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if not isinstance(error, _reported()):
            raise
        print(f"dscim: {' '.join(str(error).split())}", file=sys.stderr)
        return MISUSED


def _run(given: list[str]) -> int:
    parser = Parser(
        prog="dscim",
        description="Digital stochastic compute-in-memory: an FPGA "
        "prototype flow whose every layer is checked against numpy, bit for bit.",
    )
    parser.add_argument("--version", action="version", version=f"dscim {version('dscim')}")
    commands = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    called = next((word for word in given if not word.startswith("-")), None)
    for name, summary in VERBS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        if name == called:
            suffix = "_" if keyword.iskeyword(name) else ""
            module = importlib.import_module(f"dscim.host.cli.{name}{suffix}")
            module.configure(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(given)
    status: int = options.run(options)
    return status


def _reported() -> tuple[type[Exception], ...]:
    """The errors that are one sentence for the user; imported late, for they bring in numpy."""
    from dscim.errors import SimulationError  # noqa: PLC0415
    from dscim.gateware.specs import SpecError  # noqa: PLC0415

    return UserError, SpecError, SimulationError
