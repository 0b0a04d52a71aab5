"""`dscim bench`: how fast the link to a target is, every word checked."""

import argparse
import dataclasses
import secrets
from typing import TYPE_CHECKING, Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, save_json
from dscim.host.cli.options import (
    add_device,
    add_report,
    add_target,
    open_device,
    product_spec,
    report_of,
    say_link,
    soc_for,
)
from dscim.host.device import Device
from dscim.host.device.bench import Bench, Latency, Rate
from dscim.host.device.target import SIMULATORS, Line, line_of
from dscim.progress import Progress

if TYPE_CHECKING:
    from dscim.host.device.bench.litex import Theirs

SIZES = range(4, (1 << 30) + 1)
ROUNDS = range(1, 1_000_001)
COLUMNS = (
    "",
    ">bytes",
    ">seconds",
    ">CPU here",
    ">kB/s",
    ">bytes/cycle",
    ">of the line",
    ">of ours",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim bench`."""
    add_target(parser, "sim")
    parser.add_argument(
        "--bytes",
        type=int,
        default=1 << 18,
        metavar="N",
        help="data bytes of each transfer (default 262144)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=1000,
        metavar="N",
        help="single words read for the latency (default 1000)",
    )
    parser.add_argument("--seed", type=int, metavar="S", help="of the data (default: a new one)")
    parser.add_argument(
        "--against",
        choices=["litex"],
        help="measure LiteX's own clients, too, at the same simulated SoC",
    )
    add_device(parser)
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Measures, prints the table; a wrong word or a lost device ends it."""
    for name, value, allowed in (
        ("bytes", options.bytes, SIZES),
        ("rounds", options.rounds, ROUNDS),
    ):
        if value not in allowed:
            raise UserError(f"--{name} {value} is outside {allowed[0]}..{allowed[-1]}.")
    check_writable(options.json)
    report = report_of(options)
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if seed < 0:
        raise UserError(f"--seed {seed} is negative; a seed is 0 or more.")
    if options.against and options.target not in SIMULATORS:
        raise UserError(
            f"--against {options.against} needs the target sim or sim+eth, not "
            f"{options.target!r}: at another its clients may wait for ever."
        )
    spec = soc_for(product_spec(options), options)
    theirs: list[Theirs] = []
    with open_device(options, spec, report) as device:
        bench = Bench(device, seed)
        latency = bench.latency(options.rounds)
        with report.progress() as step:
            rates = bench.transfers(options.bytes, step)
            counted = dataclasses.replace(device.link.statistics)
            if options.against:
                theirs = _litex(device, seed, options.bytes, step)
    line = line_of(options.target)
    _print(report, options.target, seed, latency, rates, theirs, line)
    say_link(counted, report)
    save_json(
        options.json,
        {
            "target": options.target,
            "seed": seed,
            "line": dataclasses.asdict(line),
            "latency": dataclasses.asdict(latency),
            "transfers": {name: _rate_json(rate, line) for name, rate in rates.items()},
            "litex": [_their_json(their, rates, line) for their in theirs],
            "link": dataclasses.asdict(counted),
        },
    )
    return 0


def _litex(device: Device, seed: int, total: int, step: Progress) -> "list[Theirs]":
    from dscim.host.device.bench.litex import LitexBench  # noqa: PLC0415 - who compares needs LiteX
    from dscim.host.link.sim import SimLink  # noqa: PLC0415

    assert isinstance(device.link, SimLink)
    return LitexBench(device.link, device.spec, seed).measure(total, step)


def _ratio(their: "Theirs", rates: dict[str, Rate]) -> float | None:
    """How many times as fast the link of this project is; None where they did nothing."""
    if not their.rate.bytes:
        return None
    return rates[their.what].per_second / their.rate.per_second


def _said(ratio: float | None) -> str:
    return "0" if ratio is None else f"1 / {ratio:.1f}" if ratio >= 1 else f"{1 / ratio:.1f}"


def _rate_json(rate: Rate, line: Line) -> dict[str, Any]:
    return dataclasses.asdict(rate) | {
        "bytes_per_second": rate.per_second,
        "bytes_per_cycle": rate.per_cycle,
        "part_of_line": _part(rate, line),
    }


def _their_json(their: "Theirs", rates: dict[str, Rate], line: Line) -> dict[str, Any]:
    return {
        "client": their.client,
        "what": their.what,
        "record": their.record,
        "wrong": their.wrong,
        "failed": their.failed,
        "ratio": _ratio(their, rates),
        **_rate_json(their.rate, line),
    }


def _part(rate: Rate, line: Line) -> float | None:
    """How much of what the line carries was data; None where neither is known."""
    if line.bytes_per_second is not None:
        return rate.per_second / line.bytes_per_second
    if line.bytes_per_cycle is not None and rate.per_cycle is not None:
        return rate.per_cycle / line.bytes_per_cycle
    return None


def _print(
    report: Report,
    target: str,
    seed: int,
    latency: Latency,
    rates: dict[str, Rate],
    theirs: "list[Theirs]",
    line: Line,
) -> None:
    report.say(
        f"One word read from {target}: {1e3 * latency.median:.3f} ms in the middle of "
        f"{latency.rounds}, {1e3 * latency.least:.3f} at the least, 99 % within "
        f"{1e3 * latency.most_99:.3f}"
    )
    rows = [_row(name, rate, line) for name, rate in rates.items()]
    if line.bytes_per_second is not None:
        rows.append((line.name, "", "", "", f"{line.bytes_per_second / 1e3:.1f}", "-", "1.000", ""))
    elif line.bytes_per_cycle is not None:
        rows.append((line.name, "", "", "", "-", f"{line.bytes_per_cycle:.3f}", "1.000", ""))
    rows += [
        _row(_name(their), their.rate, line, f"1 / {_ratio(their, rates):.1f}") for their in theirs
    ]
    columns = COLUMNS if theirs else COLUMNS[:-1]
    report.table(columns, [row[: len(columns)] for row in rows])
    report.say(
        f"Every word verified (seed {seed}): those written were read back, those read were "
        "computed by the engine and by its twin in numpy."
    )
    for their in theirs:
        if their.wrong:
            report.say(f"{_name(their)}: {their.wrong} words are WRONG.")
        if their.failed:
            report.say(f"{_name(their)}, after {their.rate.bytes} bytes: {their.failed}")


def _name(their: "Theirs") -> str:
    return (
        f"LiteX's {their.client}, {their.what} by {their.record} "
        f"word{'s' if their.record > 1 else ''}"
    )


def _row(name: str, rate: Rate, line: Line, ratio: str = "") -> tuple[str, ...]:
    return (
        name,
        f"{rate.bytes}",
        f"{rate.seconds:.3f}",
        f"{rate.cpu:.3f}",
        f"{rate.per_second / 1e3:.1f}",
        _or_dash(rate.per_cycle),
        _or_dash(_part(rate, line)),
        ratio,
    )


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
