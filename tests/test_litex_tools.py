"""LiteX's own tools with our SoC: RemoteClient, litex_server and litex_cli, without root."""

import contextlib
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from litex.tools.litex_client import RemoteClient

from dscim.gateware import registers
from dscim.host.device.bench.clients import Opener, remote, uart, udp
from dscim.host.device.litex_csv import BASES
from dscim.sim.server import Simulator
from dscim.sim.soc import soc_design
from tests.commandline import DSCIM
from tests.link_exercise import BASE, SPEC

HOLE, ONES = 0xA000_0000, 0xFFFF_FFFF
IDENTIFIER = f"dscim {registers.PROTOCOL} spec {SPEC.hash:08x}"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(soc_design(SPEC, ethernet=True)) as running:
        yield running


def identifier(client: RemoteClient) -> str:
    """LiteX's identifier: one character per word, up to a zero."""
    base = BASES["identifier_mem"]
    text = "".join(chr(client.read(base + 4 * place) & 0xFF) for place in range(64))
    return text.partition("\0")[0]


@pytest.mark.parametrize("opener", [udp, uart])
def test_the_remote_client_reads_the_identifier(simulator: Simulator, opener: Opener) -> None:
    """Over Etherbone and over UARTBone."""
    with remote(opener)(simulator) as client:
        assert identifier(client) == IDENTIFIER
        assert client.read(registers.address("magic")) == registers.MAGIC


@pytest.mark.parametrize("opener", [udp, uart])
def test_the_remote_client_writes_what_it_reads(simulator: Simulator, opener: Opener) -> None:
    words = np.random.default_rng(61).integers(0, 1 << 32, 60).tolist()
    with remote(opener)(simulator) as client:
        client.write(BASE, words)
        assert client.read(BASE, len(words)) == words


@pytest.mark.parametrize("opener", [udp, uart])
def test_a_hole_of_the_map_reads_as_ones(simulator: Simulator, opener: Opener) -> None:
    """At once and for whole commands; the next command is answered as ever."""
    with remote(opener)(simulator) as client:
        for _ in range(3):
            assert client.read(HOLE) == ONES
            assert client.read(HOLE, 60) == [ONES] * 60
            client.write(HOLE, [1, 2, 3])
            assert client.read(registers.address("magic")) == registers.MAGIC


def test_a_command_in_two_parts_is_not_delayed(simulator: Simulator) -> None:
    """As LiteX sends them: with TCP's default delays the second part waits until the first is
    acknowledged, and 40 ms of a fast simulator exceed UARTBone's 100 ms."""
    magic = registers.address("magic")
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as line:
        seconds = []
        for _ in range(51):
            begun = time.monotonic()
            line.sendall(bytes([2, 1]))
            line.sendall((magic // 4).to_bytes(4, "big"))
            assert int.from_bytes(line.recv(4, socket.MSG_WAITALL), "big") == registers.MAGIC
            seconds.append(time.monotonic() - begun)
    assert statistics.median(seconds) < 0.03


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def litex_server(target: str, port: int) -> Iterator[None]:
    """Runs LiteX's server as a process; returns once it listens."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "litex.tools.litex_server",
            "--uart",
            "--uart-port",
            target,
            "--bind-ip",
            "127.0.0.1",
            "--bind-port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_litex_cli_prints_the_identifier(tmp_path: Path) -> None:
    """The commands of the README: `dscim sim`, `litex_server`, `litex_cli --ident`, `--regs`."""
    simulation = subprocess.Popen(
        [DSCIM, "sim", "--rows", "16", "--columns", "4", "--quiet", "--csr-csv", "csr.csv"],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        assert simulation.stdout is not None
        target, port = simulation.stdout.readline().strip(), free_port()
        with litex_server(target, port):
            outputs = [
                subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "litex.tools.litex_client",
                        "--host",
                        "127.0.0.1",
                        "--port",
                        str(port),
                        *options,
                    ],
                    cwd=tmp_path,
                    text=True,
                    capture_output=True,
                    timeout=60,
                    check=True,
                ).stdout
                for options in (["--ident"], ["--regs"])
            ]
    finally:
        simulation.send_signal(signal.SIGINT)
        simulation.communicate(timeout=30)
    assert outputs[0].strip("\0\n") == IDENTIFIER
    assert f"{registers.address('magic'):#010x} : {registers.MAGIC:#010x} magic" in outputs[1]
    assert f"{SPEC.hash:#010x} spec_hash" in outputs[1]
