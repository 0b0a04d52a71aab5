"""A link with a UART and Ethernet in Verilator; Python drives its lines frame by frame."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dscim.gateware import registers
from dscim.sim.verilate import verilate
from tests.ethernet_lines import DEVICE, arp_reply, frame_of, line
from tests.link_bytes import answers, wire

CLK_FREQ = 1_000_000
WORDS = 16384
"""Words of the memory at 0, for frames and Etherbone; beyond it the bus does not answer."""

COUNTERS = [register.name for register in registers.LINK_REGISTERS]
QUIET = 600
"""Idle cycles after which nothing more comes, except after a reset or a time-out."""

LITEETH_WARNS = ("-Wno-CMPCONST", "-Wno-UNOPTFLAT")
"""Warnings about LiteEth: comparisons for every data width, and streams that wait in a circle."""

STREAMS = {
    "eth_in": "valid ready data last last_be",
    "eth_out": "valid ready data last last_be",
    "uart_in": "valid ready data",
    "uart_out": "valid ready data",
}


def build(sleeping: bool) -> tuple[Any, set[Any]]:
    """The module and its ports. sleeping: with gated clocks, as in the simulator."""
    from liteeth.common import eth_phy_description  # noqa: PLC0415
    from litex.gen import LiteXModule  # noqa: PLC0415
    from litex.soc.interconnect import stream, wishbone  # noqa: PLC0415
    from migen import ClockDomain, ClockSignal, Record, ResetSignal, Signal  # noqa: PLC0415

    from dscim.gateware.link.ethernet import EthernetCarrier, EthernetPort  # noqa: PLC0415
    from dscim.gateware.link.link import Link  # noqa: PLC0415
    from dscim.gateware.link.reach import Region  # noqa: PLC0415
    from dscim.gateware.link.uart import UartCarrier  # noqa: PLC0415
    from dscim.gateware.memory import WindowedMemory  # noqa: PLC0415
    from dscim.sim.gated_domains import RECEIVE, TRANSMIT, GatedDomains  # noqa: PLC0415

    class Phy(LiteXModule):
        dw = 32

        def __init__(self) -> None:
            self.sink, self.source = (stream.Endpoint(eth_phy_description(32)) for _ in range(2))
            self.cd_eth_rx, self.cd_eth_tx = ClockDomain("eth_rx"), ClockDomain("eth_tx")
            clocks = (RECEIVE, TRANSMIT) if sleeping else ("sys", "sys")
            for domain, clock in zip((self.cd_eth_rx, self.cd_eth_tx), clocks, strict=True):
                self.comb += [domain.clk.eq(ClockSignal(clock)), domain.rst.eq(ResetSignal(clock))]

    class Uart(LiteXModule):
        def __init__(self) -> None:
            self.sink, self.source = (stream.Endpoint([("data", 8)]) for _ in range(2))

    dut = LiteXModule()
    dut.cd_sys = ClockDomain()
    dut.phy, dut.line = Phy(), Uart()
    dut.ethernet = EthernetCarrier(
        EthernetPort(dut.phy, int.from_bytes(DEVICE, "big"), "192.168.1.50"), CLK_FREQ
    )
    dut.uart = UartCarrier(dut.line, CLK_FREQ)
    dut.link = Link(CLK_FREQ, 0x1234, [Region(0, 4 * WORDS, memory=True)], [dut.uart, dut.ethernet])
    dut.memory = WindowedMemory(32, WORDS)
    inside = wishbone.Interface(address_width=32, addressing="word")
    dut.arbiter = wishbone.Arbiter(
        [dut.link.engine.bus, dut.ethernet.etherbone.wishbone, dut.uart.wishbone], inside
    )
    dut.decoder = wishbone.Decoder(inside, [(lambda adr: adr[14:] == 0, dut.memory.bus)])
    ports = {dut.cd_sys.clk, dut.cd_sys.rst}
    if sleeping:
        pads = Record([("clk", 3), ("awake", 3)], name="gated")
        dut.gated = GatedDomains(pads)
        dut.gated.add_ethernet(dut.ethernet, dut.phy)
        ports |= set(pads.flatten())
    ends = {
        "eth_in": dut.phy.source,
        "eth_out": dut.phy.sink,
        "uart_in": dut.line.source,
        "uart_out": dut.line.sink,
    }
    for name, end in ends.items():
        for field in STREAMS[name].split():
            inner = getattr(end, field)
            port = Signal(len(inner), name=f"{name}_{field}")
            outwards = name.endswith("out") ^ (field == "ready")
            dut.comb += port.eq(inner) if outwards else inner.eq(port)
            ports.add(port)
    for name in COUNTERS:
        port = Signal(32, name=f"count_{name}")
        dut.comb += port.eq(getattr(dut.link.bank, name).fields.value)
        ports.add(port)
    return dut, ports


@cache
def compiled(sleeping: bool = False) -> Path:
    """The executable."""
    from dscim.sim.verilog import to_verilog  # noqa: PLC0415

    dut, ports = build(sleeping)
    verilog = to_verilog(dut, ports, "link")
    assert not verilog.files
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "link.v").write_text(verilog.text)
        counts = "".join(f" COUNT({name})" for name in COUNTERS)
        (folder / "counts.h").write_text(f"#define COUNTS{counts}\n")
        return verilate(
            "link-bench",
            [folder / "link.v", folder / "counts.h", Path(__file__).with_suffix(".cpp")],
            "link",
            flags=[*LITEETH_WARNS, "-CFLAGS", f"-DSLEEPING={int(sleeping)}"],
        )


class Bench:
    """The running link. `cycle`: the time; `counters`: by name, after the last `run`."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process
        self.cycle, self.counters = 0, dict.fromkeys(COUNTERS, 0)
        self.arrived: list[int] = []  # the cycles in which the frames of the last `run` ended
        self.broken = 0  # frames that came without preamble, too short or with a bad FCS
        self._send(f"arp {line(arp_reply()).hex()}")

    def _send(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")

    def stall(self, seed: int, percent: int) -> None:
        """Makes every stream wait at random."""
        self._send(f"stall {seed} {percent}")

    def freeze(self, frozen: bool) -> None:
        """Whether the line takes nothing from the device."""
        self._send(f"freeze {int(frozen)}")

    def arp(self, text: bytes) -> None:
        """The answer to the device's ARP requests; none if empty."""
        self._send(f"arp {text.hex()}")

    def run(
        self, *lines: bytes, uart: Sequence[bytes] = (), most: int = 1_000_000, quiet: int = QUIET
    ) -> tuple[list[bytes], list[Any]]:
        """Sends `lines` over Ethernet and frames over the UART; returns the frames received on
        Ethernet, without ARP requests, and the answers on the UART."""
        for text in lines:
            self._send(f"eth {text.hex()}")
        if uart:
            self._send(f"uart {wire(*uart).hex()}")
        self._send(f"run {most} {quiet}")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.flush()
        frames, by_uart, self.arrived = [], b"", []
        for words in map(str.split, self._process.stdout):
            if words[0] == "eth":
                try:
                    frame = frame_of(bytes.fromhex(words[2]))
                except AssertionError:
                    self.broken += 1
                    continue
                if frame[12:14] == b"\x08\x06" and frame[21] == 1:
                    continue
                frames.append(frame)
                self.arrived.append(int(words[1]))
            elif words[0] == "uart":
                by_uart = bytes.fromhex(words[1]) if len(words) > 1 else b""
            elif words[0] == "count":
                self.counters[words[1]] = int(words[2])
            elif words[0] == "done":
                self.cycle = int(words[1])
                return frames, answers(by_uart)
        raise AssertionError("the model has ended")


@contextmanager
def bench(sleeping: bool = False) -> Iterator[Bench]:
    """A link fresh from reset."""
    with subprocess.Popen(
        [compiled(sleeping)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Bench(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
