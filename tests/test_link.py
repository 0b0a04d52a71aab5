"""Links to a simulated SoC: every byte arrives, every failure is reported, no data is made up."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dscim.errors import LinkError
from dscim.host.link.sim import SimLink, over_uartbone
from dscim.host.link.uart import UartLink, write_commands
from dscim.sim import server
from dscim.sim.server import Simulator
from tests import toy_soc

PROBE = (toy_soc.MAGIC_ADDRESS, toy_soc.MAGIC)
MEMORY = range(toy_soc.MEMORY, toy_soc.MEMORY + toy_soc.MEMORY_BYTES)
WORDS = toy_soc.MEMORY_BYTES // 4
TIMEOUT_CYCLES = toy_soc.CLK_FREQ // 10


@pytest.fixture
def link() -> Iterator[SimLink]:
    opened = SimLink(toy_soc.design(), over_uartbone(probe=PROBE, memories=[MEMORY]))
    yield opened
    opened.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(toy_soc.design()) as running:
        yield running


def connect(simulator: Simulator, timeout: float = 0.3) -> UartLink:
    return UartLink(
        f"socket://127.0.0.1:{simulator.port}",
        timeout=timeout,
        probe=PROBE,
        memories=[MEMORY],
        settle=lambda: simulator.pass_cycles(TIMEOUT_CYCLES + 1000),
    )


@given(
    st.integers(0, (1 << 30) - 2000).map(lambda word: 4 * word),
    st.lists(st.integers(0, (1 << 32) - 1), max_size=600),
    st.integers(1, 255),
)
def test_write_commands_hold_each_word_once(address: int, values: list[int], step: int) -> None:
    data = write_commands(address, np.array(values, np.uint32), step)
    found = []
    while data:
        command, count = data[0], data[1]
        assert command == 1
        assert 1 <= count <= step
        assert int.from_bytes(data[2:6], "big") * 4 == address + 4 * len(found)
        found += [int.from_bytes(data[6 + 4 * i : 10 + 4 * i], "big") for i in range(count)]
        data = data[6 + 4 * count :]
    assert found == values


def exercise(link: SimLink, words_to_move: int, seed: int) -> None:
    """Random writes and reads, compared with an array."""
    random = np.random.default_rng(seed)
    twin = random.integers(0, 1 << 32, WORDS, dtype=np.uint32)
    link.write(toy_soc.MEMORY, twin)
    moved = 0
    while moved < words_to_move:
        start = int(random.integers(WORDS))
        count = min(int(2 ** random.uniform(0, 14)), WORDS - start)
        new = random.integers(0, 1 << 32, count, dtype=np.uint32)
        link.write(toy_soc.MEMORY + 4 * start, new)
        twin[start : start + count] = new
        start = int(random.integers(WORDS))
        size = min(int(2 ** random.uniform(0, 14)), WORDS - start)
        read = link.read(toy_soc.MEMORY + 4 * start, size)
        assert read.dtype == np.uint32
        np.testing.assert_array_equal(read, twin[start : start + size])
        moved += count + size
    np.testing.assert_array_equal(link.read(toy_soc.MEMORY, WORDS), twin)


def test_megabytes_arrive_whole(link: SimLink) -> None:
    exercise(link, 2_000_000, seed=1)


def test_bytes_arrive_whole_when_both_streams_stall() -> None:
    link = SimLink(toy_soc.design(), over_uartbone(probe=PROBE, memories=[MEMORY]), stall=7)
    try:
        exercise(link, 250_000, seed=2)
    finally:
        link.close()


def test_nothing_is_read_or_written_for_no_words(link: SimLink) -> None:
    link.write(toy_soc.MEMORY, np.array([], np.uint32))
    assert link.read(toy_soc.MEMORY, 0).shape == (0,)


def test_wrong_arguments(link: SimLink) -> None:
    with pytest.raises(ValueError, match="0x10000002"):
        link.read(toy_soc.MEMORY + 2, 1)
    with pytest.raises(ValueError, match="0xfffffffc"):
        link.read(0xFFFF_FFFC, 2)
    with pytest.raises(ValueError, match="int64"):
        link.write(toy_soc.MEMORY, np.array([1], np.int64))  # type: ignore[arg-type]


def test_resynchronises_after_an_incomplete_command(simulator: Simulator) -> None:
    half_a_write = bytes([1, 200]) + (toy_soc.MEMORY >> 2).to_bytes(4, "big") + b"half"
    content = np.arange(1, 1001, dtype=np.uint32)
    link = connect(simulator)
    link.write(toy_soc.MEMORY + 4096, content)
    link._transport.send(half_a_write)
    np.testing.assert_array_equal(link.read(toy_soc.MEMORY + 4096, 1000), content)
    link._transport.send(half_a_write)
    link.write(toy_soc.MEMORY + 4096, content[::-1].copy())  # memory: repeated
    np.testing.assert_array_equal(link.read(toy_soc.MEMORY + 4096, 1000), content[::-1])
    link._transport.send(half_a_write)
    link.close()
    with closing(
        connect(simulator)
    ) as other:  # an incomplete command of one client does not harm the next
        np.testing.assert_array_equal(other.read(toy_soc.MEMORY + 4096, 1000), content[::-1])


def test_a_register_is_written_once(simulator: Simulator) -> None:
    with closing(connect(simulator)) as link:
        half_a_write = bytes([1, 200]) + (toy_soc.MEMORY >> 2).to_bytes(4, "big") + b"half"
        link._transport.send(half_a_write)
        with pytest.raises(LinkError, match="1 tries"):
            link.write(toy_soc.MAGIC_ADDRESS, np.array([5], np.uint32))
        assert link.read(*PROBE[:1], 1)[0] == toy_soc.MAGIC  # in step again


def test_unexpected_bytes_are_dropped(simulator: Simulator) -> None:
    with closing(connect(simulator)) as link:
        link.write(toy_soc.MEMORY, np.array([1, 2, 3], np.uint32))
        link._transport.send(bytes([2, 3]) + (toy_soc.MEMORY >> 2).to_bytes(4, "big"))
        time.sleep(0.1)
        assert link.read(*PROBE[:1], 1)[0] == toy_soc.MAGIC


def test_another_device_is_refused(simulator: Simulator) -> None:
    with pytest.raises(LinkError, match=r"reads 0x4453434d at 0x20000000, expected 0x12345678"):
        UartLink(
            f"socket://127.0.0.1:{simulator.port}",
            probe=(toy_soc.MAGIC_ADDRESS, 0x12345678),
            retries=0,
            settle=lambda: None,
        )


def test_second_client_is_refused(link: SimLink) -> None:
    with pytest.raises(LinkError, match="closed the connection"):
        connect(link.simulator)
    assert link.read(*PROBE[:1], 1)[0] == toy_soc.MAGIC


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        target = f"socket://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(LinkError, match=f"Nothing answers at {re.escape(target)}"):
            UartLink(target)
    for wrong in ("socket://127.0.0.1", "socket://127.0.0.1:70000", "socket://:x"):
        with pytest.raises(LinkError, match="not a valid target"):
            UartLink(wrong)
    with pytest.raises(LinkError, match="/dev/no-such-port"):
        UartLink("/dev/no-such-port")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_death_of_the_simulator_is_reported_at_once(link: SimLink, number: signal.Signals) -> None:
    died: list[float] = []

    def kill() -> None:
        time.sleep(0.3)
        died.append(time.monotonic())
        os.kill(link.simulator.pid, number)

    killer = threading.Thread(target=kill)
    killer.start()
    status = -9 if number == signal.SIGKILL else 0
    with pytest.raises(LinkError, match=f"The simulator ended with status {status}"):
        while True:
            link.read(toy_soc.MEMORY, 1000)
    assert time.monotonic() - died[0] < 2
    killer.join()
    with pytest.raises(LinkError, match="The simulator ended"):
        link.read(toy_soc.MEMORY, 1)
    with pytest.raises(LinkError, match="The simulator ended"):
        link.write(toy_soc.MEMORY, np.zeros(10, np.uint32))


def test_simulator_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_SECONDS", 3.0)
    link = SimLink(toy_soc.design(), over_uartbone(probe=PROBE, timeout=0.3))
    try:
        os.kill(link.simulator.pid, signal.SIGSTOP)
        with pytest.raises(LinkError, match="did not answer in 3 s"):
            link.read(toy_soc.MEMORY, 1)
    finally:
        os.kill(link.simulator.pid, signal.SIGCONT)
        link.close()


def pump(terminal: int, client: socket.socket) -> None:
    """Copies bytes between a pseudo-terminal and a socket until the socket closes."""

    def up() -> None:
        try:
            while data := os.read(terminal, 4096):
                client.sendall(data)
        except OSError:
            pass

    threading.Thread(target=up, daemon=True).start()
    while data := client.recv(4096):
        while data:
            data = data[os.write(terminal, data) :]


def test_serial_port(simulator: Simulator) -> None:
    """pyserial on a pseudo-terminal that is connected to the simulator."""
    ours, theirs = os.openpty()
    client = socket.create_connection(("127.0.0.1", simulator.port), 10)
    client.settimeout(None)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    thread = threading.Thread(target=pump, args=(ours, client))
    thread.start()
    content = np.random.default_rng(3).integers(0, 1 << 32, 5000, dtype=np.uint32)
    opened = UartLink(os.ttyname(theirs), baudrate=1_000_000, timeout=1, probe=PROBE)
    with closing(opened) as link:
        link.write(toy_soc.MEMORY, content)
        np.testing.assert_array_equal(link.read(toy_soc.MEMORY, 5000), content)
        client.shutdown(socket.SHUT_RDWR)
        thread.join()
        with pytest.raises(LinkError, match="sent no byte for 1 s"):
            link.read(toy_soc.MEMORY, 1)
    client.close()
    os.close(theirs)
    os.close(ours)
