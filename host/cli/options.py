"""Options that several verbs share, and the specs that they make."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.gateware.specs import VARIANTS, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.gateware.specs.macro import default_macro
from dscim.gateware.specs.product import SIGNED_MODES
from dscim.gateware.specs.sequence import KINDS
from dscim.gateware.specs.tables import TABLES, table_sequence
from dscim.host.device import Device
from dscim.host.device.target import SIMULATORS, ConnectOptions, open_target
from dscim.host.link.base import LinkStatistics

TARGETS = (
    "ref (numpy), sim (the SoC in Verilator, over its UART), sim+eth (over its Ethernet), "
    "uart:PORT[@BAUD], eth:ADDRESS[:PORT] or, unchecked on the way, bone:PORT[@BAUD]"
)

MOST_WAIT = 86400

DEFAULT_TABLE = "gaussian"


def add_arithmetic(parser: argparse.ArgumentParser) -> None:
    """Adds what chooses the product's arithmetic; an option left out keeps the default."""
    group = _add_points(parser)
    group.add_argument("--length", type=int, metavar="L", help="stream length (default 256)")
    group.add_argument("--signed", choices=list(SIGNED_MODES), help="signed mode (default split)")
    group.add_argument(
        "--exact", action="store_true", help="the exact INT8 macro instead of the stochastic one"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds what chooses the device that is built, and nothing of a product."""
    _add_points(parser)
    add_macro(parser)
    parser.set_defaults(length=None, signed=None, exact=False)


def _add_points(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("arithmetic")
    group.add_argument(
        "--variant",
        choices=list(VARIANTS),
        help="ds-cim1 (OR of 16 rows, default) or ds-cim2 (OR of 64)",
    )
    group.add_argument(
        "--sequence", choices=list(KINDS), help="where the sample points lie (default counter)"
    )
    group.add_argument(
        "--table",
        choices=list(TABLES),
        help="thresholds of the sequence table, by the operands that they were made "
        "for (default gaussian); -scaled: with a gain afterwards, as "
        "calibration gives it",
    )
    group.add_argument(
        "--taps",
        type=_pair,
        metavar="A,W",
        help="tap masks of the activation's and the weight's LFSR, as 0x95,0x95",
    )
    group.add_argument("--seeds", type=_pair, metavar="A,W", help="their seeds, each 1..255")
    return group


def add_target(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds --target, --trace, and what to do when another host is at the target."""
    parser.add_argument(
        "--target", default=default, metavar="T", help=f"{TARGETS}; default {default}"
    )
    add_trace(parser)
    parser.add_argument(
        "--wait",
        type=float,
        default=ConnectOptions.wait,
        metavar="SECONDS",
        help=f"for another host to leave a uart: or eth: target (default {ConnectOptions.wait:g})",
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="end another host's session on a uart: or eth: target",
    )


def add_trace(parser: argparse.ArgumentParser) -> None:
    """Adds --trace."""
    parser.add_argument(
        "--trace",
        type=_window,
        metavar="FROM:TO",
        help="keep these cycles of the simulator as dscim.fst, with dscim.gtkw",
    )


def open_device(
    options: argparse.Namespace, spec: SocSpec, report: Report, scope: bool = False
) -> Device:
    """The target that the options of `add_target` ask for; with `scope` a simulator has one."""
    if options.trace and options.target not in SIMULATORS:
        raise UserError(
            f"--trace needs the target sim, not {options.target!r}, which has no cycles."
        )
    if not 0 <= options.wait <= MOST_WAIT:
        raise UserError(f"--wait {options.wait:g} is outside 0..{MOST_WAIT} seconds.")
    connect = ConnectOptions(options.wait, options.take_over)
    return open_target(
        options.target, spec, trace=options.trace, report=report.say, connect=connect, scope=scope
    )


def add_macro(parser: argparse.ArgumentParser) -> None:
    """Adds what shapes the macro."""
    group = parser.add_argument_group("macro")
    group.add_argument(
        "--form",
        choices=["selected", "array"],
        default="selected",
        help="selected (one row of a group a cycle, default) or array (the paper's circuit)",
    )
    group.add_argument(
        "--lanes",
        type=int,
        metavar="P",
        help="points a cycle (default: selected with counter 256/G, else 1)",
    )
    group.add_argument("--rows", type=int, default=128, metavar="R", help="default 128")
    group.add_argument("--columns", type=int, default=32, metavar="C", help="default 32")


def product_spec(options: argparse.Namespace, default: ProductSpec | None = None) -> ProductSpec:
    """The arithmetic that the options of `add_arithmetic` ask for, `default` where they are
    silent; SpecError where it cannot be.

    An exact default gives way to any option that only a stochastic product has.
    """
    default = default or ProductSpec()
    changes: dict[str, Any] = {"sequence": _sequence(options, default.sequence)}
    if options.variant is not None:
        changes["or_width"] = VARIANTS[options.variant]
    for name in ("length", "signed"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if changes.get("signed") == "offset":
        changes["activation_shift"] = 0
    asked = any(
        getattr(options, name) is not None
        for name in ("variant", "length", "signed", "sequence", "table")
    )
    return dataclasses.replace(
        default, exact=options.exact or (default.exact and not asked), **changes
    )


def soc_for(product: ProductSpec, options: argparse.Namespace | None = None) -> SocSpec:
    """The device that computes `product`, its macro shaped by the options of `add_macro`.

    An exact macro always stands beside the stochastic one, so that `--exact` runs on the same
    device. SpecError where the macro cannot be.
    """
    macro = default_macro(product.or_width, product.sequence)
    if product.samples > macro.max_samples:  # a table's long streams: point by point
        macro = dataclasses.replace(macro, lanes=1)
    if options is None:
        return SocSpec(macro=macro)
    lanes = options.lanes
    if lanes is None:
        lanes = macro.lanes if options.form == "selected" else 1
    macro = MacroSpec(
        rows=options.rows,
        columns=options.columns,
        or_width=product.or_width,
        form=options.form,
        lanes=lanes,
        sequence=product.sequence,
    )
    spec = SocSpec(macro=macro, requant_lanes=max(1, min(2, options.columns)))
    spec.macro_for(product)
    return spec


def _sequence(options: argparse.Namespace, default: SequenceSpec) -> SequenceSpec:
    kind = options.sequence or ("table" if options.table else default.kind)
    if options.table and kind != "table":
        raise UserError(
            f"--table {options.table} is of the sequence table, not {kind}; leave one "
            "of --sequence and --table out."
        )
    if kind == "table":
        chosen = options.table or DEFAULT_TABLE
        kept = default if default.table and not options.table else table_sequence(chosen)
        return SequenceSpec(kind, options.taps or (), options.seeds or (), kept.table)
    kept = default if default.kind == kind else SequenceSpec(kind)
    return SequenceSpec(kind, options.taps or kept.taps, options.seeds or kept.seeds)


def _window(text: str) -> tuple[int, int]:
    start, colon, stop = text.partition(":")
    if not (colon and start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no window of cycles; write FROM:TO with FROM < TO"
        )
    return int(start), int(stop)


def _pair(text: str) -> tuple[int, int]:
    try:
        first, second = (int(part, 0) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not two numbers with a comma between"
        ) from None
    return first, second


def add_report(parser: argparse.ArgumentParser) -> None:
    """Adds --json, --quiet and --verbose."""
    group = parser.add_argument_group("report")
    group.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    group.add_argument("--quiet", action="store_true", help="print errors only")
    group.add_argument("--verbose", action="store_true", help="print what happens on the way")


def report_of(options: argparse.Namespace) -> Report:
    """The report that the options of `add_report` ask for."""
    return Report(quiet=options.quiet, verbose=options.verbose)


def say_link(counted: LinkStatistics, report: Report) -> None:
    """One line of what crossed a link, where anything did."""
    if counted.bytes_sent or counted.bytes_received:
        report.say(
            f"On the line {counted.bytes_sent} bytes out, {counted.bytes_received} in; "
            f"{counted.frames_sent} frames sent, {counted.resends} of them again, "
            f"{counted.damaged} damaged on the way back; round trip "
            f"{1e3 * counted.round_trip:.2f} ms"
        )
