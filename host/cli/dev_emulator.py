"""`dscim dev emulator`: compares the emulator's speed with float32 products and bit streams."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscim.console import Report
from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.network import load
from dscim.host.network.shipped import EXACT, shipped_network
from dscim.host.research.emulation import AIMS, Bench, result

ONE_THREAD = "OPENBLAS_NUM_THREADS"

COLUMNS = ("method", ">ms per image", ">times float32", "aim")


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim dev emulator`."""

    networks: Sequence[Path] = argument(
        "NETWORK",
        "network files (.npz) to measure (default: the shipped exact one)",
        nargs="*",
        default=(),
    )
    images: int = option("N", "number of images per batch", default=16, within=(1, None))
    repeat: int = option(
        "N", "number of repetitions; the fastest counts", default=3, within=(1, None)
    )
    seed: int = option("S", "seed of the inputs", default=0, within=(0, None))


def run(options: Options) -> int:
    """Measures every network and prints a table for each."""
    networks = [load(path) for path in options.networks] or [shipped_network(EXACT)]
    if os.environ.get(ONE_THREAD) != "1":  # numpy reads it only at import: start again
        os.environ[ONE_THREAD] = "1"
        os.execv(sys.executable, sys.orig_argv)
    report = report_of(options)
    report.say(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, numpy {np.__version__}; "
        f"seed {options.seed}"
    )
    if why_no_kernel():
        report.say(str(why_no_kernel()))
    results = []
    for network in networks:
        bench = Bench(network, options.images, options.repeat, options.seed)
        seconds = {}
        for name, value in bench.seconds():
            seconds[name] = value
            report.detail(f"{name}: {1e3 * value:.3f} ms")
        results.append(result(bench, seconds))
        _print(report, results[-1])
    save_json(options.json, results)
    return 0


def _print(report: Report, measured: dict[str, Any]) -> None:
    report.say(measured["network"])
    rows = [
        (
            name,
            f"{1e3 * value:.3f}",
            f"{measured['times_float32'][name]:.2f}",
            f"at most {AIMS[name]:g}" if name in AIMS else "",
        )
        for name, value in measured["seconds"].items()
    ]
    report.table(COLUMNS, rows)
    gains = measured["faster_than_bit_streams"].items()
    report.say(
        "times as fast as bit streams: " + ", ".join(f"{name} {gain:.0f}" for name, gain in gains)
    )


COMMAND = Command(Options, run, "dev emulator --images 1 --repeat 1")
