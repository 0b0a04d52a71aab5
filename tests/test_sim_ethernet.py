"""The simulator's Ethernet: UDP on loopback to LiteEth in the SoC and back."""

import contextlib
import os
import random
import signal
import socket
import struct
import time
import zlib
from collections.abc import Iterator

import pytest
from litex.tools.remote.comm_udp import CommUDP

from dscim.errors import SimulationError
from dscim.gateware.link.protocol import ETHERBONE_PORT, FRAMES_PORT
from dscim.sim.server import Simulator
from tests import toy_soc


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(toy_soc.ethernet_design()) as running:
        yield running


def connect(simulator: Simulator, port: int = FRAMES_PORT, seconds: float = 10) -> socket.socket:
    """A client of the device's UDP port."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    client.settimeout(seconds)
    client.connect(("127.0.0.1", simulator.udp[port]))
    return client


def numbered(count: int, most: int, seed: int) -> list[bytes]:
    """Datagrams of random sizes, each with its number and a CRC-32 of its own."""
    chance = random.Random(seed)
    bodies = [
        struct.pack("<I", i) + chance.randbytes(chance.randrange(most - 7)) for i in range(count)
    ]
    return [body + zlib.crc32(body).to_bytes(4, "little") for body in bodies]


def echoes(client: socket.socket, count: int) -> list[bytes]:
    """Up to `count` datagrams, as many as arrive before the client's time-out."""
    came = []
    with contextlib.suppress(TimeoutError):
        while len(came) < count:
            came.append(client.recv(2000))
    return came


def test_echoes_every_size(simulator: Simulator) -> None:
    assert simulator.ask().cycles == 0  # time starts with the first client or datagram
    data = random.Random(4).randbytes(2000)
    sizes = range(1473)
    with connect(simulator) as client:
        for size in sizes:
            client.send(data[size % 7 :][:size])
            assert client.recv(2000) == data[size % 7 :][:size]
    status = simulator.ask()
    assert (status.datagrams_received, status.datagrams_sent) == (len(sizes), len(sizes))
    assert (status.datagrams_dropped, status.frames_bad, status.bits_flipped) == (0, 0, 0)


@pytest.mark.parametrize("stall", [0, 7])
def test_burst_comes_back_whole_and_in_order(stall: int) -> None:
    sent = numbered(1000, 1472, seed=1)
    with (
        Simulator(toy_soc.ethernet_design(), stall=stall) as simulator,
        connect(simulator) as client,
    ):
        for datagram in sent:
            client.send(datagram)
        assert echoes(client, len(sent)) == sent
        status = simulator.ask()
    assert (status.datagrams_received, status.datagrams_sent) == (1000, 1000)
    assert (status.datagrams_dropped, status.frames_bad) == (0, 0)


def test_more_than_can_wait_is_dropped_and_counted(simulator: Simulator) -> None:
    with connect(simulator, seconds=1) as client:
        os.kill(simulator.pid, signal.SIGSTOP)
        sent = numbered(20_000, 1472, seed=2)
        for datagram in sent:
            client.send(datagram)
        os.kill(simulator.pid, signal.SIGCONT)
        came = echoes(client, len(sent))
        status = simulator.ask()
    print(f"{len(came)} of {len(sent)} came back, {status}")
    assert came == sorted(came, key=sent.index)
    assert 0 < status.datagrams_dropped == len(sent) - len(came)
    assert status.datagrams_received == status.datagrams_sent == len(came)


def test_too_long_a_datagram_is_dropped_and_counted(simulator: Simulator) -> None:
    with connect(simulator) as client:
        for size in (1473, 65507):
            client.send(bytes(size))
        client.send(b"short")
        assert client.recv(2000) == b"short"
    status = simulator.ask()
    assert (status.datagrams_received, status.datagrams_dropped) == (1, 2)


def test_answers_go_to_whoever_asked(simulator: Simulator) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(simulator)) for _ in range(8)]
        for turn in range(20):
            for number, client in enumerate(clients):
                client.send(bytes([turn, number]))
        for number, client in enumerate(clients):
            assert echoes(client, 20) == [bytes([turn, number]) for turn in range(20)]


def test_bits_flip_on_ethernet_only() -> None:
    with pytest.raises(SimulationError, match="has no Ethernet"):
        Simulator(toy_soc.design(), flip=(1, 20))


def test_flipped_bits_never_reach_a_client() -> None:
    """The FCS catches those in frames from the SoC. The toy ignores LiteEth's `error` and echoes
    datagrams that were damaged on their way to it in valid frames; the CRC-32 in the datagram
    identifies these."""
    sent = numbered(1000, 1472, seed=3)
    with (
        Simulator(toy_soc.ethernet_design(), flip=(5, 20)) as simulator,
        connect(simulator, seconds=2) as client,
    ):
        for datagram in sent:
            client.send(datagram)
        came = echoes(client, len(sent))
        status = simulator.ask()
    whole = [data for data in came if zlib.crc32(data[:-4]).to_bytes(4, "little") == data[-4:]]
    print(f"{len(whole)} of {len(sent)} back whole, {len(came) - len(whole)} damaged, {status}")
    assert whole == sorted(whole, key=sent.index)
    assert 700 < len(whole) < 1000
    assert 0 < status.frames_bad < status.bits_flipped
    assert status.datagrams_received == 1000
    assert status.datagrams_sent == len(came)


@pytest.mark.parametrize("seed", [4, 7])
def test_finds_the_device_among_flipped_bits(seed: int) -> None:
    """These seeds flip bits in the first ARP frames, of the host and of the device."""
    with (
        Simulator(toy_soc.ethernet_design(), flip=(seed, 300)) as simulator,
        connect(simulator, seconds=0.2) as client,
    ):
        for _ in range(300):
            client.send(b"again")
            with contextlib.suppress(TimeoutError):
                if client.recv(2000) == b"again":
                    break
        else:
            pytest.fail("never an answer")
        assert simulator.ask().cycles > 20000  # after which a request for an address is repeated


def test_killed_and_started_again() -> None:
    chance = random.Random(6)
    for _ in range(5):
        with Simulator(toy_soc.ethernet_design()) as simulator, connect(simulator) as client:
            client.send(b"first")
            assert client.recv(2000) == b"first"
            for datagram in numbered(100, 1472, seed=7):
                client.send(datagram)
            time.sleep(chance.random() * 0.1)
            os.kill(simulator.pid, signal.SIGKILL)
            ports = simulator.udp
        with (
            Simulator(toy_soc.ethernet_design(), udp=ports) as simulator,
            connect(simulator) as client,
        ):
            assert simulator.udp == ports
            client.send(b"again")
            assert client.recv(2000) == b"again"


def test_udp_port_in_use_is_one_sentence(simulator: Simulator) -> None:
    taken = simulator.udp[FRAMES_PORT]
    second = Simulator(toy_soc.ethernet_design(), udp={FRAMES_PORT: taken})
    with pytest.raises(SimulationError) as raised:
        second.start()
    assert f"UDP port {taken} is already in use" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_wakes_for_a_datagram_and_else_leaves_the_core_alone(simulator: Simulator) -> None:
    def cpu_seconds() -> float:
        with open(f"/proc/{simulator.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with connect(simulator) as client:
        time.sleep(0.3)
        assert simulator.ask().cycles == 0
        client.send(b"one")
        assert client.recv(2000) == b"one"
        time.sleep(1.2)
        start, cycles = cpu_seconds(), simulator.ask().cycles
        time.sleep(1)
        assert simulator.ask().cycles > cycles  # the SoC's time did not stop
        assert cpu_seconds() - start < 0.3
        client.send(b"two")
        assert client.recv(2000) == b"two"


def etherbone(simulator: Simulator) -> CommUDP:
    """LiteX's client. It would bind the port that it sends to, which is in use here."""
    bone = CommUDP("127.0.0.1", simulator.udp[ETHERBONE_PORT])
    bone.socket = connect(simulator, ETHERBONE_PORT)
    return bone


def test_litex_reads_and_writes_over_etherbone(simulator: Simulator) -> None:
    chance = random.Random(8)
    bone = etherbone(simulator)
    with bone.socket:
        assert bone.probe("127.0.0.1", simulator.udp[ETHERBONE_PORT])
        assert bone.read(toy_soc.MAGIC_ADDRESS) == toy_soc.MAGIC
        for size, records in ((1, 1), (200, 30), (255, 50)):  # written without reading answers
            texts = [[chance.getrandbits(32) for _ in range(size)] for _ in range(records)]
            for number, text in enumerate(texts):
                bone.write(toy_soc.MEMORY + 4 * size * number, text)
            for number, text in enumerate(texts):
                assert bone.read(toy_soc.MEMORY + 4 * size * number, size) == text
    assert simulator.ask().frames_bad == 0
