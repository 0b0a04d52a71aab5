"""`dscim dut`: serves MLPerf Tiny's serial protocol, so that its runner measures a target."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dscim.console import Report
from dscim.gateware.specs import describe
from dscim.host.cli import layers
from dscim.host.cli.arithmetic_options import ArithmeticOptions, product_spec, soc_for
from dscim.host.cli.options import Command, argument, choice, option, switch
from dscim.host.cli.target_options import TargetOptions, check_trace, open_device, target_option
from dscim.host.device.dut import (
    FORMATS,
    DeviceInference,
    Format,
    HostInference,
    Inference,
    Protocol,
    TcpPort,
    Terminal,
    format_for,
    serve,
)
from dscim.host.network import load

MEGA = 1e6


@dataclass(frozen=True, kw_only=True)
class Options(ArithmeticOptions, TargetOptions):
    """The options of `dscim dut`."""

    network: Path = argument("NETWORK", "network file (.npz)")
    model: str | None = choice(
        FORMATS,
        "benchmark, which determines the format of inputs and results (default: that with the "
        "network's number of inputs)",
        default=None,
    )
    port: int | None = option(
        "N",
        "TCP port of 127.0.0.1, 0 for a free one (default: a pseudo-terminal)",
        default=None,
        within=(0, 65535),
    )
    clock: float = option(
        "MHZ",
        "clock frequency of the device in MHz, by which its cycles become the timestamps",
        default=75.0,
        within=(0.001, 10_000),
    )
    target: str = target_option("ref")
    quiet: bool = switch("print only the address and errors")
    verbose: bool = switch("print more details")


def run(options: Options) -> int:
    """Serves until Ctrl-C, or until the target is lost."""
    report = Report(quiet=options.quiet, verbose=options.verbose)
    check_trace(options)
    network = load(options.network)
    form = format_for(network, options.model)
    arithmetic = product_spec(options, network.arithmetic)
    layers.warn_arithmetic(network, arithmetic, report)
    title = f"{network.name} on {options.target}: {form.title}, {describe(arithmetic)}"
    with closing(Terminal() if options.port is None else TcpPort(options.port)) as port:
        if options.target == "ref":
            report.say(title)
            return _serve(port, form, HostInference(network, arithmetic), report)
        with open_device(options, soc_for(arithmetic), report) as device:
            report.say(title)
            inference = DeviceInference(device, network, arithmetic, options.clock * MEGA)
            return _serve(port, form, inference, report)


def _serve(port: Terminal | TcpPort, form: Format, inference: Inference, report: Report) -> int:
    """Prints the address and serves until an exception ends it."""

    def make(send: Callable[[bytes], None], waiting: Callable[[], bool]) -> Protocol:
        return Protocol(inference, form, send, waiting)

    report.say(
        f"{form.model}, {form.size(inference.network)} bytes per input; timestamps are "
        f"{inference.clock}; stop with Ctrl-C."
    )
    serve(port, make, lambda: Report().say(port.address))
    return 0


COMMAND = Command(Options, run, "dut net.npz --target ref --model ic01")
