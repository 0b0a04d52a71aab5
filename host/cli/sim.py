"""`dscim sim`: serves the simulated SoC on loopback ports."""

import time
from dataclasses import dataclass
from pathlib import Path

from dscim.console import Report
from dscim.files import save_text
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.host.cli.arithmetic_options import DeviceOptions, device_spec
from dscim.host.cli.options import Command, option, output_file, switch
from dscim.host.cli.target_options import TraceOptions
from dscim.host.device.litex_csv import csr_csv
from dscim.sim.server import Simulator, Status
from dscim.sim.soc import soc_design
from dscim.sim.trace import TraceWindow

TRACE_FILE = Path("dscim.fst")
REPORT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Options(TraceOptions, DeviceOptions):
    """The options of `dscim sim`."""

    port: int = option(
        "N", "TCP port of 127.0.0.1 (default: any free one)", default=0, within=(0, 65535)
    )
    ethernet: bool = switch("also serve the SoC's Ethernet, on UDP ports of 127.0.0.1")
    csr_csv: Path | None = output_file(
        "FILE", "write the register map for LiteX's tools (litex_cli --csr-csv)"
    )
    quiet: bool = switch("print only the ports and errors")
    verbose: bool = switch("print the number of cycles every second")


def run(options: Options) -> int:
    """Serves until Ctrl-C, or until the simulator dies."""
    report = Report(quiet=options.quiet, verbose=options.verbose)
    spec = device_spec(options)
    start, stop = options.trace or (0, 0)
    window = TraceWindow(start, stop, TRACE_FILE) if options.trace else None
    save_text(options.csr_csv, csr_csv(spec))
    design = soc_design(spec, ethernet=options.ethernet)
    with Simulator(design, port=options.port, window=window, say=report.say) as served:
        Report().say(f"socket://127.0.0.1:{served.port}")
        _say_ports(served.udp)
        report.say(
            f"UART of the SoC with the spec {spec.hash:08x} (frames and UARTBone): "
            f"{spec.macro.form} macro of {spec.macro.rows} x {spec.macro.columns}; "
            "stop with Ctrl-C."
        )
        while True:
            time.sleep(REPORT_SECONDS)
            report.detail(_line(served.ask()))


def _say_ports(udp: dict[int, int]) -> None:
    """Prints the loopback ports of the device's UDP ports, if it has any."""
    if udp:
        Report().say(f"eth:127.0.0.1:{udp[FRAMES_PORT]}")
        Report().say(f"etherbone 127.0.0.1:{udp[ETHERBONE_PORT]}")


def _line(status: Status) -> str:
    return (
        f"{status.cycles} cycles, {status.rate / 1e6:.2f} million per second, "
        f"{status.received} bytes in, {status.sent} out"
    )


COMMAND = Command(Options, run, "sim --rows 16 --columns 4 --port 0")
