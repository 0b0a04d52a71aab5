"""A device under test: MLPerf Tiny's serial protocol for its public runner."""

from dscim.host.device.dut.formats import FORMATS, Format, format_for
from dscim.host.device.dut.inference import DeviceInference, HostInference, Inference
from dscim.host.device.dut.protocol import Protocol
from dscim.host.device.dut.serve import TcpPort, Terminal, serve

__all__ = [
    "FORMATS",
    "DeviceInference",
    "Format",
    "HostInference",
    "Inference",
    "Protocol",
    "TcpPort",
    "Terminal",
    "format_for",
    "serve",
]
