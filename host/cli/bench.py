"""`dscim bench`: measures the speed of the link to a target and checks every word."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_json
from dscim.host.cli.arithmetic_options import DeviceOptions, device_spec
from dscim.host.cli.common_options import ReportOptions, SeedOptions, report_of, seed_of
from dscim.host.cli.options import Command, choice, option
from dscim.host.cli.target_options import TargetOptions, open_device, say_link
from dscim.host.device import Device
from dscim.host.device.bench import Bench, Latency, Rate
from dscim.host.device.target import SIMULATORS, Line, line_of
from dscim.progress import Progress

if TYPE_CHECKING:
    from dscim.host.device.bench.litex import ClientResult

COLUMNS = (
    "",
    ">bytes",
    ">seconds",
    ">host CPU s",
    ">kB/s",
    ">bytes/cycle",
    ">share of line",
    ">LiteX / dscim",
)


@dataclass(frozen=True, kw_only=True)
class Options(TargetOptions, SeedOptions, DeviceOptions, ReportOptions):
    """The options of `dscim bench`."""

    bytes: int = option("N", "data bytes of each transfer", default=1 << 18, within=(4, 1 << 30))
    rounds: int = option(
        "N",
        "number of single words read to measure the latency",
        default=1000,
        within=(1, 1_000_000),
    )
    against: str | None = choice(
        ["litex"], "also measure LiteX's own clients on the same simulated SoC"
    )


def run(options: Options) -> int:
    """Measures and prints the table; a wrong word or a lost device is an error."""
    report, seed = report_of(options), seed_of(options)
    if options.against and options.target not in SIMULATORS:
        raise UserError(
            f"--against {options.against} needs the target sim or sim+eth, not "
            f"{options.target!r}: with another target, its clients may wait indefinitely."
        )
    spec = device_spec(options)
    theirs: list[ClientResult] = []
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


def _litex(device: Device, seed: int, total: int, step: Progress) -> "list[ClientResult]":
    from dscim.host.device.bench.litex import LitexBench  # noqa: PLC0415 - LiteX is slow to import
    from dscim.host.link.sim import SimLink  # noqa: PLC0415

    assert isinstance(device.link, SimLink)
    return LitexBench(device.link, device.spec, seed).measure(total, step)


def _ratio(their: "ClientResult", rates: dict[str, Rate]) -> float | None:
    """The rate of this project's link relative to theirs; None if they transferred nothing."""
    if not their.rate.bytes:
        return None
    return rates[their.what].per_second / their.rate.per_second


def _inverse(ratio: float | None) -> str:
    """Their rate relative to that of this project's link, for example "1 / 3.5"."""
    return "0" if ratio is None else f"1 / {ratio:.1f}" if ratio >= 1 else f"{1 / ratio:.1f}"


def _rate_json(rate: Rate, line: Line) -> dict[str, Any]:
    return dataclasses.asdict(rate) | {
        "bytes_per_second": rate.per_second,
        "bytes_per_cycle": rate.per_cycle,
        "part_of_line": _part(rate, line),
    }


def _their_json(their: "ClientResult", rates: dict[str, Rate], line: Line) -> dict[str, Any]:
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
    """The share of the line's capacity that was data, 0 to 1; None if it is unknown."""
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
    theirs: "list[ClientResult]",
    line: Line,
) -> None:
    report.say(
        f"One word read from {target}: median {1e3 * latency.median:.3f} ms of "
        f"{latency.rounds}, minimum {1e3 * latency.least:.3f} ms, 99 % within "
        f"{1e3 * latency.most_99:.3f} ms"
    )
    rows = [_row(name, rate, line) for name, rate in rates.items()]
    if line.bytes_per_second is not None:
        rows.append((line.name, "", "", "", f"{line.bytes_per_second / 1e3:.1f}", "-", "1.000", ""))
    elif line.bytes_per_cycle is not None:
        rows.append((line.name, "", "", "", "-", f"{line.bytes_per_cycle:.3f}", "1.000", ""))
    rows += [
        _row(_name(their), their.rate, line, _inverse(_ratio(their, rates))) for their in theirs
    ]
    columns = COLUMNS if theirs else COLUMNS[:-1]
    report.table(columns, [row[: len(columns)] for row in rows])
    report.say(
        f"Every word was verified (seed {seed}): words written were read back; words read were "
        "computed by the engine and by its twin in numpy."
    )
    for their in theirs:
        if their.wrong:
            report.say(f"{_name(their)}: {their.wrong} words are WRONG.")
        if their.failed:
            report.say(f"{_name(their)}, after {their.rate.bytes} bytes: {their.failed}")


def _name(their: "ClientResult") -> str:
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


COMMAND = Command(Options, run, "bench --target ref --bytes 4096 --rounds 10 --rows 16 --columns 4")
