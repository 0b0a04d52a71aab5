"""FrameLink over the simulated SoC's Ethernet, with every kind of fault."""

import dataclasses
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware.layout import memory_ranges
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT, Kind
from dscim.host.link.carrier import StreamCarrier
from dscim.host.link.datagrams import DatagramCarrier
from dscim.host.link.frames import Frame
from dscim.host.link.session import FrameLink
from dscim.host.link.transport import open_transport
from dscim.sim.server import Simulator
from dscim.sim.soc import soc_design
from tests import toy_soc
from tests.link_exercise import BASE, SPEC, TIMEOUT, counters, exercise, killed
from tests.link_faults import flipped
from tests.link_proxy import FAULTS, FaultyProxy


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(soc_design(SPEC, ethernet=True)) as running:
        yield running


def connect(
    simulator: Simulator, port: int = 0, *, wait: float = TIMEOUT, take_over: bool = False
) -> FrameLink:
    """Connects to the device by datagrams, or to the `port` of a proxy in front of it."""
    udp = simulator.udp
    carrier = DatagramCarrier("127.0.0.1", port or udp[FRAMES_PORT], udp[ETHERBONE_PORT])
    return FrameLink(
        carrier, timeout=TIMEOUT, wait=wait, take_over=take_over, memories=memory_ranges(SPEC)
    )


def test_words_arrive_and_the_device_counts_the_frames(simulator: Simulator) -> None:
    link = connect(simulator)
    before, sent = counters(link), link.statistics.frames_sent
    exercise(link, 50_000, 1)
    sent, after = link.statistics.frames_sent - sent, counters(link)
    taken = after["frames_taken"] - before["frames_taken"]
    assert taken >= sent - link.statistics.resends
    if not link.statistics.resends:
        assert taken == sent + 1
        assert after["frames_doubled"] == before["frames_doubled"]
    for name in ("frames_dropped", "frames_refused", "stray_datagrams", "link_resets"):
        assert after[name] == before[name], name
    link.close()
    assert simulator.ask().frames_bad == 0


def through_faults(simulator: Simulator, rate: float, words: int) -> None:
    with FaultyProxy(simulator.udp[FRAMES_PORT], rate, 31) as proxy:
        link = connect(simulator, proxy.port)
        start = time.monotonic()
        before = counters(link)
        exercise(link, words, 32)
        counted = {name: value - before[name] for name, value in counters(link).items()}
        print(
            f"\n{4 * words} bytes each way in {time.monotonic() - start:.1f} s; "
            f"{dict(proxy.faults)}; {dataclasses.asdict(link.statistics)}; {counted}"
        )
        link.close()
    assert counted["link_resets"] == 0
    if words * rate > 1000:
        assert all(proxy.faults[fault] for fault in FAULTS)
        assert counted["frames_dropped"] and link.statistics.resends


@pytest.mark.parametrize(("rate", "words"), [(0.01, 50_000), (0.2, 8_000)])
def test_words_arrive_through_faults(simulator: Simulator, rate: float, words: int) -> None:
    through_faults(simulator, rate, words)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "words"), [(0.001, 500_000), (0.01, 500_000), (0.2, 60_000)])
def test_many_words_arrive_through_faults(simulator: Simulator, rate: float, words: int) -> None:
    through_faults(simulator, rate, words)


@pytest.mark.parametrize("ppm", [5, 50])
def test_flipped_bits_on_the_wire_change_no_word(ppm: int) -> None:
    """Ethernet's own check finds them; at 50 ppm a third of the long frames is lost."""
    with Simulator(soc_design(SPEC, ethernet=True), flip=(0x123456789ABCD, ppm)) as simulator:
        link = connect(simulator)
        exercise(link, 20_000, 34)
        status = simulator.ask()
        print(f"\n{status}; {dataclasses.asdict(link.statistics)}; {counters(link)}")
        link.close()
    assert status.bits_flipped
    assert link.statistics.damaged == 0


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_simulator_killed_at_random_moments_is_reported(times: int) -> None:
    """The next simulator uses the same ports, like a board that was powered off and on."""
    with Simulator(soc_design(SPEC, ethernet=True)) as first:
        ports = first.udp
    killed(
        times,
        lambda: Simulator(soc_design(SPEC, ethernet=True), udp=ports),
        connect,
        "Nothing listens",
    )


def test_a_device_power_cycled_in_the_middle_is_noticed() -> None:
    """It is back so soon that the host only notices missing answers."""
    with (
        Simulator(soc_design(SPEC, ethernet=True)) as first,
        Simulator(soc_design(SPEC, ethernet=True)) as second,
        FaultyProxy(first.udp[FRAMES_PORT], 0.0, 1) as proxy,
    ):
        link = connect(first, proxy.port)
        exercise(link, 1000, 36)
        os.kill(first.pid, signal.SIGKILL)
        proxy.device = second.udp[FRAMES_PORT]
        with pytest.raises(LinkError, match="was reset or reloaded"):
            link.write(BASE, np.arange(10_000, dtype=np.uint32))
        link.close()
        again = connect(second, proxy.port)
        exercise(again, 1000, 37)
        again.close()


def test_a_plain_litex_soc_is_named() -> None:
    """LiteEth's own Etherbone in a plain SoC whose UDP port 1235 echoes."""
    with (
        Simulator(toy_soc.ethernet_design()) as toy,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        silent.bind(("127.0.0.1", 0))
        bone, echo = toy.udp[ETHERBONE_PORT], toy.udp[FRAMES_PORT]
        for port, words in (
            (silent.getsockname()[1], "LiteX's Etherbone, but is not a dscim device"),
            (echo, "only echoes what it receives"),
        ):
            with pytest.raises(LinkError, match=words):
                FrameLink(DatagramCarrier("127.0.0.1", port, bone), timeout=1)


SAMPLES = {
    FRAMES_PORT: [
        Frame(Kind.OPEN, 0, 77, 0).encode(),
        Frame(Kind.CLOSE, 0, 77, 0).encode(),
        Frame(Kind.READ, 0, 77, BASE, requested=20).encode(),
        Frame(Kind.WRITE, 0, 77, BASE, bytes(range(80))).encode(),
    ],
    ETHERBONE_PORT: [
        bytes.fromhex(text)
        for text in (
            "4e6f1044 00000000 100f0200 40000000 01020304 05060708",
            "4e6f1044 00000000 000f0001 00000000 00000800",
            "4e6f1100 00000000",
        )
    ],
}
"""Valid datagrams for each port, to be truncated and damaged."""


def noise(random: np.random.Generator, port: int) -> bytes:
    """Random bytes, or a valid datagram with flipped bits, possibly truncated."""
    if random.random() < 0.2:
        return random.bytes(int(random.integers(300)))
    data = SAMPLES[port][int(random.integers(len(SAMPLES[port])))]
    data = flipped(data, 2 / (8 * len(data)), random)[0]
    return data[: int(random.integers(len(data)))] if random.random() < 0.3 else data


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_random_datagrams_leave_the_device_usable(simulator: Simulator, count: int) -> None:
    """A host opens a session at its first attempt, within 100 ms of the SoC's time."""
    random = np.random.default_rng(40)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
    ):
        asking.settimeout(TIMEOUT)
        for number in range(count):
            port = ETHERBONE_PORT if number % 2 else FRAMES_PORT
            source.sendto(noise(random, port), ("127.0.0.1", simulator.udp[port]))
            if number % 100 == 0:  # its answer shows that all earlier ones have been processed
                asking.sendto(
                    Frame(Kind.READ, number & 0xFFFF, 1, BASE, requested=1).encode(),
                    ("127.0.0.1", simulator.udp[FRAMES_PORT]),
                )
                assert Frame.decode(asking.recv(2048)).sequence == number & 0xFFFF
    before = simulator.ask().cycles
    link = connect(simulator, take_over=True)
    cycles = simulator.ask().cycles - before
    print(f"\nopened after {cycles} cycles; {counters(link)}")
    assert cycles < 100e-3 * simulator.design.clk_freq
    exercise(link, 1000, 41)
    link.close()


def pulled(simulator: Simulator, times: int) -> None:
    random = np.random.default_rng(38)
    for number in range(times):
        link = connect(simulator, take_over=True)
        way = link._carrier._socket  # type: ignore[attr-defined]
        puller = threading.Timer(float(random.uniform(0, 0.2)), way.close)
        puller.start()
        with pytest.raises(LinkError, match="failed"):
            while True:
                exercise(link, 5000, number)
        link.close()
        puller.join()
    link = connect(simulator, take_over=True)
    exercise(link, 1000, 39)
    link.close()


def test_a_pulled_cable_leaves_the_device_usable(simulator: Simulator) -> None:
    pulled(simulator, 5)


@pytest.mark.slow
def test_a_cable_pulled_fifty_times_leaves_the_device_usable(simulator: Simulator) -> None:
    pulled(simulator, 50)


def test_two_hosts_take_the_device_from_each_other(simulator: Simulator) -> None:
    """One over the UART, one over Ethernet; each finds its own words intact."""
    uart = f"socket://127.0.0.1:{simulator.port}"
    for number in range(4):
        first = connect(simulator, take_over=True)
        exercise(first, 500, number)
        second = FrameLink(
            StreamCarrier(open_transport(uart, 0, TIMEOUT)), timeout=TIMEOUT, take_over=True
        )
        with pytest.raises(LinkError, match="Another host has taken"):
            first.read(BASE, 1)
        first.close()
        exercise(second, 500, number)
        second.close()
