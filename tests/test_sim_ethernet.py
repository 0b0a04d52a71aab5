"""The simulator's Ethernet: UDP on loopback to LiteEth in the SoC and back."""

import random
import socket
from collections.abc import Iterator

import pytest
import toy_soc

from dscim.gateware.link.protocol import FRAMES_PORT
from dscim.sim.server import Simulator


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


def test_echoes_every_size(simulator: Simulator) -> None:
    assert simulator.ask().cycles == 0  # time starts with the first client or datagram
    data = random.Random(4).randbytes(2000)
    sizes = [*range(1, 100), *range(100, 1472, 97), *range(1464, 1473)]
    with connect(simulator) as client:
        for size in sizes:
            client.send(data[size % 7:][:size])
            assert client.recv(2000) == data[size % 7:][:size]
    status = simulator.ask()
    assert (status.datagrams_received, status.datagrams_sent) == (len(sizes), len(sizes))
    assert (status.datagrams_dropped, status.frames_bad, status.bits_flipped) == (0, 0, 0)
