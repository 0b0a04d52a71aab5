"""FrameLink over real sockets and terminals: transfers, broken connections, other devices."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import memory_ranges
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host import link as links
from dscim.host.device import Device
from dscim.host.device.target import ConnectOptions, open_target
from dscim.host.golden.twin.link import LineTwin, Twin
from dscim.host.golden.twin.ref import ModelLink
from dscim.host.link.carrier import StreamCarrier
from dscim.host.link.datagrams import DatagramCarrier
from dscim.host.link.frames import Frame, wire
from dscim.host.link.session import FrameLink
from dscim.host.link.transport import Taken, open_transport
from dscim.sim.server import Simulator
from tests import toy_soc
from tests.link_answers import answering
from tests.link_faults import MEMORY, REGISTERS, Ledger

WORDS = np.random.default_rng(1).integers(0, 1 << 32, 100_000, dtype=np.uint32)
HOST = Path(links.__file__).parent.parent
Answer = Callable[[bytes], bytes]


class Ends(Exception):
    """The other end closes the connection."""


def twin_of(ledger: Ledger) -> Twin:
    return Twin(
        ledger, [MEMORY, REGISTERS], clock=lambda: int(1e6 * time.monotonic()) & 0xFFFF_FFFF
    )


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """A TCP port that serves one client at a time with `answer`; Ends closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError, Ends):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := client.recv(1 << 16):
                    client.sendall(answer(data))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@contextmanager
def terminal(answer: Answer) -> Iterator[str]:
    """A tty with `answer` at its other end; Ends closes that end."""
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)

    def serve() -> None:
        with suppress(OSError, Ends):
            while True:
                data = answer(os.read(ours, 4096))
                while data:
                    data = data[os.write(ours, data) :]
        os.close(ours)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield name
    os.close(theirs)
    thread.join(10)


def connect(target: str, timeout: float = 2.0) -> FrameLink:
    carrier = StreamCarrier(open_transport(target, 3_000_000, timeout))
    return FrameLink(carrier, timeout=timeout)


@pytest.mark.parametrize("place", [served, terminal])
def test_a_register_write_passes_five_files(place: Callable[[Answer], Iterator[str]]) -> None:
    """From the session to the socket or the port; checks of arguments are not on the way."""
    files: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(HOST / "link") and path.stem not in files:
            files.append(path.stem)

    answer = LineTwin(twin_of(Ledger(MEMORY, REGISTERS))).answer
    with place(answer) as target:  # type: ignore[attr-defined]
        link = connect(target)
        sys.setprofile(trace)
        try:
            link.write(REGISTERS.start, np.ones(1, np.uint32))
        finally:
            sys.setprofile(None)
        link.close()
    assert files == ["session", "frames", "exchange", "carrier", "transport"]


def ending(answer: Answer, after: int) -> Answer:
    """Answers `after` bytes, then closes the connection."""
    seen = 0

    def until(data: bytes) -> bytes:
        nonlocal seen
        seen += len(data)
        if seen > after:
            raise Ends
        return answer(data)

    return until


@pytest.mark.parametrize("place", [served, terminal])
def test_words_arrive(place: Callable[[Answer], Iterator[str]]) -> None:
    ledger = Ledger(MEMORY, REGISTERS)
    with place(LineTwin(twin_of(ledger)).answer) as target:  # type: ignore[attr-defined]
        for _ in range(2):
            link = connect(target)
            link.write(MEMORY.start, WORDS[:20_000])
            np.testing.assert_array_equal(link.read(MEMORY.start, 20_000), WORDS[:20_000])
            link.close()
    assert set(ledger.times[MEMORY][:20_000]) == {2}


def test_a_terminal_in_use_is_reported_and_waited_for() -> None:
    """Two hosts on one tty: the second opens it once the first has closed it."""
    spec = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)
    bank = range(registers.BANK_BASE, registers.BANK_BASE + 4 * len(registers.REGISTERS))
    twin = Twin(ModelLink(spec), [bank, *memory_ranges(spec)], spec_hash=spec.hash)
    with terminal(LineTwin(twin).answer) as name:
        first = open_target(f"uart:{name}", spec)
        with pytest.raises(Taken, match=f"'{name}' is in use by another program.*--wait"):
            open_target(f"uart:{name}", spec, connect=ConnectOptions(wait=0.3))
        threading.Timer(0.5, first.close).start()
        open_target(f"uart:{name}", spec, connect=ConnectOptions(wait=20)).close()


@pytest.mark.parametrize("place", [served, terminal])
@pytest.mark.parametrize("after", [10, 1000, 50_000])
def test_an_end_in_the_middle_is_reported(
    place: Callable[[Answer], Iterator[str]], after: int
) -> None:
    answer = ending(LineTwin(twin_of(Ledger(MEMORY, REGISTERS))).answer, after)
    start = time.monotonic()
    with place(answer) as target, pytest.raises(LinkError):  # type: ignore[attr-defined]
        link = connect(target, timeout=1)
        try:
            link.write(MEMORY.start, WORDS)
        finally:
            link.close()
    assert time.monotonic() - start < 10


def test_an_echo_is_named() -> None:
    with (
        served(lambda data: data) as target,
        pytest.raises(LinkError, match="only echoes what it receives"),
    ):
        connect(target)


def test_silence_is_named() -> None:
    with served(lambda data: b"") as target, pytest.raises(LinkError, match="is silent"):
        connect(target, timeout=1)


def test_noise_is_named() -> None:
    random = np.random.default_rng(2)
    with (
        served(lambda data: random.bytes(500)) as target,
        pytest.raises(LinkError, match=r"sent \d+ bytes, but no valid answer"),
    ):
        connect(target, timeout=1)


def test_uartbone_alone_is_named() -> None:
    with (
        Simulator(toy_soc.design()) as simulator,
        pytest.raises(LinkError, match="answers LiteX's UARTBone, but is not a dscim device"),
    ):
        connect(f"socket://127.0.0.1:{simulator.port}", timeout=1)


def test_a_dscim_device_without_frames_is_named() -> None:
    def bone(data: bytes) -> bytes:
        place = registers.address("magic") >> 2
        asked = bytes((2, 1)) + place.to_bytes(4, "big")
        return registers.MAGIC.to_bytes(4, "big") if data == asked else b""

    with served(bone) as target, pytest.raises(LinkError, match=r"without frames.*bone:PORT"):
        connect(target, timeout=1)


def test_an_open_does_no_harm_to_uartbone() -> None:
    """For any session number, every six bytes of a greeting are a command UARTBone ignores."""
    greetings: list[bytes] = []

    def listen(data: bytes) -> bytes:
        greetings.append(data)
        return b""

    for _ in range(2):
        with served(listen) as target, pytest.raises(LinkError):
            connect(target, timeout=0.3)
    opens = [data for data in greetings if len(data) % 6 == 0 and data[0] == 0]
    assert len(opens) >= 2
    assert all(data[place] not in range(1, 5) for data in opens for place in range(0, len(data), 6))


def test_words_arrive_in_datagrams() -> None:
    ledger = Ledger(MEMORY, REGISTERS)
    with answering(twin_of(ledger).answer) as port:
        link = FrameLink(DatagramCarrier("127.0.0.1", port))
        link.write(MEMORY.start, WORDS)
        np.testing.assert_array_equal(link.read(MEMORY.start, len(WORDS)), WORDS)
        link.close()
    assert set(ledger.times[MEMORY][: len(WORDS)]) == {1}


def test_a_udp_port_where_nothing_listens_is_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(LinkError, match="is silent"):
        FrameLink(DatagramCarrier("127.0.0.1", port), timeout=0.5)
    with pytest.raises(LinkError, match="cannot be reached"):
        FrameLink(DatagramCarrier("no-such-host.invalid", 1), timeout=0.5)


def test_foreign_frames_change_nothing() -> None:
    """Valid but unrelated frames before each answer: of other sessions, of other kinds."""
    ledger = Ledger(MEMORY, REGISTERS)
    line = LineTwin(twin_of(ledger))
    random = np.random.default_rng(3)

    def strange(data: bytes) -> bytes:
        kind = int(random.choice([0x81, 0x82, 0x83, 0x84, 0xFF, 2]))
        frame = Frame(
            kind,
            int(random.integers(40)),
            int(random.integers(1 << 32)),
            MEMORY.start,
            random.bytes(4 * int(random.integers(3))),
        )
        return wire(frame.encode()) + line.answer(data)

    with served(strange) as target:
        link = connect(target)
        link.write(MEMORY.start, WORDS)
        np.testing.assert_array_equal(link.read(MEMORY.start, len(WORDS)), WORDS)
        assert link.statistics.foreign > 0
        link.close()


def test_the_reference_device_behind_frames() -> None:
    """The whole numpy device behind the twin of the link computes the same as `ref`."""
    spec = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)
    bank = range(registers.BANK_BASE, registers.BANK_BASE + 4 * len(registers.REGISTERS))
    twin = Twin(ModelLink(spec), [bank, *memory_ranges(spec)], spec_hash=spec.hash)
    with served(LineTwin(twin).answer) as target, Device(connect(target), spec) as device:
        x, w = np.full((1, 40), 3, np.int8), np.full((40, 9), -5, np.int8)
        assert (device.multiply(x, w, ProductSpec(exact=True)).values == -600).all()
