"""FrameLink with the simulated SoC: bit flips, pulled cables and killed simulators."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware.layout import memory_ranges
from dscim.host.link.carrier import StreamCarrier
from dscim.host.link.frames import Refused
from dscim.host.link.handshake import Busy
from dscim.host.link.session import FrameLink
from dscim.host.link.transport import SocketTransport, open_transport
from dscim.sim.server import Simulator
from dscim.sim.soc import soc_design
from tests.link_exercise import (
    BASE,
    COUNT,
    SPEC,
    TIMEOUT,
    counters,
    exercise,
    killed,
)
from tests.link_faults import flipped
from tests.link_tty import Tty


class FlippingTransport(SocketTransport):
    """A socket with bit flips, both ways."""

    def __init__(self, target: str, rate: float, seed: int) -> None:
        super().__init__(target, TIMEOUT)
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self.flips = 0

    def send(self, data: bytes) -> None:
        super().send(self._way(data))

    def take(self, wait: float, worth: int = 1) -> bytes:
        return self._way(super().take(wait, worth))

    def _way(self, data: bytes) -> bytes:
        data, flips = flipped(data, self._rate, self._random)
        self.flips += flips
        return data


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(soc_design(SPEC)) as running:
        yield running


def transport(simulator: Simulator, rate: float = 0.0, seed: int = 0) -> FlippingTransport:
    return FlippingTransport(f"socket://127.0.0.1:{simulator.port}", rate, seed)


def connect(simulator: Simulator, *, wait: float = 0.0, take_over: bool = False) -> FrameLink:
    return FrameLink(
        StreamCarrier(transport(simulator)), timeout=TIMEOUT, wait=wait, take_over=take_over
    )


def test_words_arrive_and_the_device_counts_the_frames(simulator: Simulator) -> None:
    link = connect(simulator)
    before = counters(link)
    sent = link.statistics.frames_sent
    exercise(link, 50_000, 1)
    taken = link.statistics.frames_sent - sent
    after = counters(link)
    assert after["frames_taken"] - before["frames_taken"] >= taken - 1
    if not link.statistics.resends:  # the host may resend to a starved simulator
        assert after["frames_taken"] - before["frames_taken"] == taken + 1
        assert after["frames_doubled"] == before["frames_doubled"]
    for name in ("frames_dropped", "frames_ahead", "frames_refused", "stray_bytes"):
        assert after[name] == before[name], name
    assert link.opened.spec_hash == SPEC.hash
    link.close()


@pytest.mark.parametrize(("rate", "words"), [(1e-5, 30_000), (1e-4, 20_000), (1e-3, 3000)])
def test_flipped_bits_change_no_word(simulator: Simulator, rate: float, words: int) -> None:
    flips(simulator, rate, words)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-6, 1e-5, 1e-4, 1e-3])
def test_flipped_bits_change_no_word_of_two_megabytes(simulator: Simulator, rate: float) -> None:
    flips(simulator, rate, 500_000)


def flips(simulator: Simulator, rate: float, words: int) -> None:
    way = transport(simulator, rate, 5)
    link = FrameLink(
        StreamCarrier(way), timeout=TIMEOUT, wait=TIMEOUT, memories=memory_ranges(SPEC)
    )  # a starved host may lose its lease
    try:
        exercise(link, words, 2)
        print(
            f"\n{way.flips} bits flipped; {dataclasses.asdict(link.statistics)}; {counters(link)}"
        )
    finally:
        link.close()


def test_a_host_that_died_leaves_the_device_to_the_next(simulator: Simulator) -> None:
    for end in ("wait", "take over"):
        link = connect(simulator, wait=TIMEOUT)
        link._carrier.close()  # without CLOSE
        with pytest.raises(Busy, match="in use by another host"):
            connect(simulator)
        link = connect(
            simulator, wait=TIMEOUT if end == "wait" else 0, take_over=end == "take over"
        )
        exercise(link, 1000, 3)
        link.close()
    connect(simulator).close()


def test_a_lease_that_ran_out_is_opened_again(simulator: Simulator) -> None:
    link = connect(simulator, wait=TIMEOUT)
    for round_ in range(2):
        simulator.pass_cycles(link.opened.lease + 1000)
        exercise(link, 100, round_)
    assert link.statistics.sessions == 3
    link.close()


def test_refusals_of_the_gateware(simulator: Simulator) -> None:
    link = connect(simulator, wait=TIMEOUT)
    with pytest.raises(
        Refused, match="words at 0x50000000 are outside the addresses that frames may reach"
    ):
        link.read(0x5000_0000, 3)
    with pytest.raises(Refused, match="outside the addresses that frames may reach"):
        link.read(BASE + 4 * COUNT - 4, 2)
    exercise(link, 10, 4)
    with pytest.raises(Refused, match="0x50000000"):
        link.write(0x5000_0000, np.zeros(1, np.uint32))
    link.close()
    connect(simulator).close()  # the session was closed


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_simulator_killed_at_random_moments_is_reported(times: int) -> None:
    killed(times, lambda: Simulator(soc_design(SPEC)), connect, "closed the connection")


def test_a_terminal_carries_a_session(simulator: Simulator) -> None:
    """To the host it is a real tty."""
    with Tty(simulator.port) as tty:
        link = over_tty(tty)
        exercise(link, 5000, 12)
        link.close()


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_terminal_that_closes_is_reported_and_leaves_the_device_usable(
    simulator: Simulator, times: int
) -> None:
    """As if the adapter were pulled out during a transfer."""
    random = np.random.default_rng(13)
    for _ in range(times):
        with Tty(simulator.port) as tty:
            link = over_tty(tty)
            puller = threading.Timer(float(random.uniform(0, 0.2)), tty.hang_up)
            puller.start()
            with pytest.raises(LinkError, match=r"Serial port .* failed|did not answer"):
                while True:
                    exercise(link, 5000, 13)
            link.close()
            puller.join()
    link = connect(simulator, take_over=True, wait=TIMEOUT)
    exercise(link, 1000, 14)
    link.close()


def test_a_device_reloaded_behind_a_terminal_is_noticed() -> None:
    """The tty stays open, as with an adapter; the device behind it starts again."""
    with (
        Simulator(soc_design(SPEC)) as first,
        Simulator(soc_design(SPEC)) as second,
        Tty(first.port) as tty,
    ):
        link = over_tty(tty)
        exercise(link, 1000, 15)
        tty.attach(second.port)
        with pytest.raises(LinkError, match="was reset or reloaded"):
            while True:
                exercise(link, 1000, 16)
        link.close()
        again = over_tty(tty)
        exercise(again, 1000, 17)
        again.close()


def over_tty(tty: Tty) -> FrameLink:
    return FrameLink(
        StreamCarrier(open_transport(tty.name, 1_000_000, 3)), timeout=3, take_over=True
    )


def test_a_pulled_cable_leaves_the_device_usable(simulator: Simulator) -> None:
    pulled(simulator, 5)


@pytest.mark.slow
def test_a_cable_pulled_at_fifty_random_moments_leaves_the_device_usable(
    simulator: Simulator,
) -> None:
    pulled(simulator, 50)


def pulled(simulator: Simulator, times: int) -> None:
    random = np.random.default_rng(8)
    for number in range(times):
        link = connect(simulator, take_over=True, wait=TIMEOUT)
        way = link._carrier.transport._socket  # type: ignore[attr-defined]
        puller = threading.Timer(float(random.uniform(0, 0.2)), way.shutdown, (socket.SHUT_RDWR,))
        puller.start()
        with pytest.raises(LinkError, match="closed the connection"):
            while True:
                exercise(link, 5000, number)
        link.close()
        puller.join()
    link = connect(simulator, take_over=True, wait=TIMEOUT)
    exercise(link, 1000, 9)
    link.close()


@pytest.mark.parametrize("size", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_random_bytes_leave_the_device_usable(simulator: Simulator, size: int) -> None:
    """A host opens a session within 100 ms of the SoC's time after its first attempt."""
    data = np.random.default_rng(10).bytes(size)
    with socket.create_connection(("127.0.0.1", simulator.port), 30) as noise:
        drain = threading.Thread(target=drained, args=(noise,))
        drain.start()
        noise.sendall(data)
        noise.shutdown(socket.SHUT_WR)
        drain.join(60)
    time.sleep(0.1)
    start = simulator.ask().cycles
    link = connect(simulator, wait=TIMEOUT)
    print(
        f"\nopened after {simulator.ask().cycles - start} cycles, "
        f"{link.statistics.frames_sent} OPENs"
    )
    exercise(link, 1000, 11)
    link.close()


def drained(client: socket.socket) -> None:
    try:
        while client.recv(1 << 16):
            pass
    except OSError:
        pass
