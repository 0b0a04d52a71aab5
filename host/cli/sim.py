"""`dscim sim`: serves the simulated SoC on loopback ports."""

import argparse
import time
from pathlib import Path

from dscim.console import Report
from dscim.errors import UserError
from dscim.files import save_text
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.host.cli.options import add_device, add_trace, product_spec, report_of, soc_for
from dscim.host.device.litex_csv import csr_csv
from dscim.sim.server import Simulator, Status
from dscim.sim.soc import soc_design
from dscim.sim.trace import TraceWindow

TRACE_FILE = Path("dscim.fst")
REPORT_SECONDS = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim sim`."""
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--ethernet", action="store_true", help="with the SoC's Ethernet, on UDP ports of 127.0.0.1"
    )
    parser.add_argument(
        "--csr-csv",
        type=Path,
        metavar="FILE",
        help="write the register map for LiteX's tools (litex_cli --csr-csv)",
    )
    add_device(parser)
    add_trace(parser)
    parser.add_argument("--quiet", action="store_true", help="print the port and errors only")
    parser.add_argument("--verbose", action="store_true", help="print the cycles each second")


def run(options: argparse.Namespace) -> int:
    """Serves until Ctrl-C, or until the simulator dies."""
    if not 0 <= options.port <= 65535:
        raise UserError(f"Port {options.port} is outside 0..65535; 0 takes a free one.")
    report = report_of(options)
    spec = soc_for(product_spec(options), options)
    start, stop = options.trace or (0, 0)
    window = TraceWindow(start, stop, TRACE_FILE) if options.trace else None
    save_text(options.csr_csv, csr_csv(spec))
    design = soc_design(spec, ethernet=options.ethernet)
    with Simulator(design, port=options.port, window=window, say=report.say) as served:
        Report().say(f"socket://127.0.0.1:{served.port}")
        _say_ports(served.udp)
        report.say(
            f"The UART of the SoC with the spec {spec.hash:08x} (frames and UARTBone): "
            f"{spec.macro.form} macro of {spec.macro.rows} x {spec.macro.columns}; "
            "Ctrl-C ends it."
        )
        while True:
            time.sleep(REPORT_SECONDS)
            report.detail(_line(served.ask()))


def _say_ports(udp: dict[int, int]) -> None:
    """The loopback ports behind which the device's own UDP ports are, if it has any."""
    if udp:
        Report().say(f"eth:127.0.0.1:{udp[FRAMES_PORT]}")
        Report().say(f"etherbone 127.0.0.1:{udp[ETHERBONE_PORT]}")


def _line(status: Status) -> str:
    return (
        f"{status.cycles} cycles, {status.rate / 1e6:.2f} million a second, "
        f"{status.received} bytes in, {status.sent} out"
    )
