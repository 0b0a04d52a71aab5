"""The simulator as a process: port, clients, end, traces."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from vcd.reader import TokenKind, tokenize

from dscim.errors import SimulationError, UserError
from dscim.sim import elaborate
from dscim.sim.elaborate import Design, design_key
from dscim.sim.server import Simulator
from dscim.sim.trace import TraceWindow, is_whole
from tests import toy_soc

READ_MAGIC = bytes([2, 1]) + (toy_soc.MAGIC_ADDRESS >> 2).to_bytes(4, "big")
MAGIC = toy_soc.MAGIC.to_bytes(4, "big")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(toy_soc.design()) as running:
        yield running


def test_design_key_follows_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = time.time() + 3600  # as if this process had started after every source was written
    monkeypatch.setattr(elaborate, "_IMPORTED", imported)

    def key(name: str = "toy", spec: str = "1") -> str:
        return design_key(Design(name, spec, toy_soc.build, [tmp_path], 1))

    source = tmp_path / "gateware.py"
    source.write_text("one")
    os.utime(source, (1, 1))
    first = key()
    assert key() == first
    assert key(spec="2") != first
    source.write_text("two")
    os.utime(source, (1, 1))
    second = key()
    assert second != first
    os.utime(source, (imported + 1, imported + 1))  # younger than what was imported
    assert key() not in (first, second)


def connect(simulator: Simulator) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", simulator.port), 10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive(client: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        came = client.recv(1 << 16)
        assert came, f"closed after {len(data)} of {count} bytes"
        data += came
    return bytes(data)


def gone(pid: int, seconds: float) -> bool:
    """Whether process `pid` ends, or is a zombie, within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_answers_and_counts(simulator: Simulator) -> None:
    assert simulator.ask().cycles == 0  # time starts with the first client
    with connect(simulator) as client:
        client.sendall(READ_MAGIC)
        assert receive(client, 4) == MAGIC
        status = simulator.ask()
        assert (status.received, status.sent) == (6, 4)
        simulator.pass_cycles(10_000)
        later = simulator.ask()
    assert later.cycles >= status.cycles + 10_000
    assert later.rate > 0


def test_nothing_is_lost_on_a_client_that_does_not_read(simulator: Simulator) -> None:
    words, commands = 255, 6000  # 6 MB of answers: more than harness and kernel hold
    command = bytes([2, words]) + (toy_soc.MEMORY >> 2).to_bytes(4, "big")
    fill = bytes([1, words]) + (toy_soc.MEMORY >> 2).to_bytes(4, "big")
    content = bytes(i * 7 % 251 for i in range(4 * words))
    with connect(simulator) as client:
        client.sendall(fill + content + command * commands)
        deadline = time.monotonic() + 20
        before = -1
        while (now := simulator.ask().cycles) != before:  # finally the SoC's time stands still
            before = now
            time.sleep(0.2)
            assert time.monotonic() < deadline
        assert receive(client, len(content) * commands) == content * commands


def test_second_client_is_closed_and_a_later_one_is_served(simulator: Simulator) -> None:
    for _ in range(3):
        with connect(simulator) as client:
            client.sendall(READ_MAGIC)
            assert receive(client, 4) == MAGIC
            with connect(simulator) as other:
                assert other.recv(1) == b""
            client.sendall(READ_MAGIC)
            assert receive(client, 4) == MAGIC


def test_answers_to_a_lost_client_do_not_reach_the_next(simulator: Simulator) -> None:
    for _ in range(5):
        with connect(simulator) as client:
            client.sendall((bytes([2, 255]) + READ_MAGIC[2:]) * 100)
        with connect(simulator) as client:
            client.sendall(READ_MAGIC)
            assert receive(client, 4) == MAGIC
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)


def test_port_in_use_is_one_sentence(simulator: Simulator) -> None:
    second = Simulator(toy_soc.design(), port=simulator.port)
    with pytest.raises(SimulationError) as raised:
        second.start()
    assert f"port {simulator.port} is already in use" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert second.exit_status == 2


def test_ends_on_signals_and_on_request() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with Simulator(toy_soc.design()) as running, connect(running):
            os.kill(running.pid, number)
            assert gone(running.pid, 2)
            assert running.exit_status == 0
            assert "cycles/s" in running.last_message
            with pytest.raises(SimulationError, match="ended with status 0"):
                running.ask()
    running = Simulator(toy_soc.design())
    running.end()  # not started: nothing to end
    running.start()
    running.end()
    running.end()
    assert running.exit_status == 0


def test_bounded_run_ends_by_itself() -> None:
    with Simulator(toy_soc.design(), cycles=12_345) as running:
        assert gone(running.pid, 5)
        assert running.last_message.startswith("12345 cycles")


def test_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; sys.path.append(sys.argv[1])\n"
        "import toy_soc; from dscim.sim.server import Simulator\n"
        "s = Simulator(toy_soc.design()); s.start(); print(s.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid, 0.1)
        parent.kill()
    assert gone(pid, 2)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_simulator_leaves_the_core_alone(simulator: Simulator) -> None:
    with connect(simulator) as client:
        client.sendall(READ_MAGIC)
        assert receive(client, 4) == MAGIC
        time.sleep(1.2)
        start, cycles = cpu_seconds(simulator.pid), simulator.ask().cycles
        time.sleep(1)
        assert simulator.ask().cycles > cycles  # the SoC's time did not stop
        assert cpu_seconds(simulator.pid) - start < 0.3
        client.sendall(READ_MAGIC)
        assert receive(client, 4) == MAGIC


@pytest.mark.slow
def test_vcd_window_has_its_cycles(tmp_path: Path) -> None:
    window = TraceWindow(500, 600, tmp_path / "toy.vcd")
    with Simulator(toy_soc.design(), window=window, cycles=1000) as running:
        assert gone(running.pid, 10)
    with window.file.open("rb") as file:
        tokens = list(tokenize(file))
    times = [token.time_change for token in tokens if token.kind is TokenKind.CHANGE_TIME]
    assert times[0] == 5000
    assert times[-1] == 5995
    clock = next(
        token.var.id_code
        for token in tokens
        if token.kind is TokenKind.VAR and token.var.reference == "sys_clk"
    )
    changes = [token.scalar_change for token in tokens if token.kind is TokenKind.CHANGE_SCALAR]
    assert sum(change == (clock, "1") for change in changes) == 100


def test_fst_window_has_its_cycles_and_named_groups(tmp_path: Path) -> None:
    window = TraceWindow(500, 600, tmp_path / "toy.fst")
    with Simulator(toy_soc.design(), window=window, cycles=1000) as running:
        assert gone(running.pid, 10)
    header = window.file.read_bytes()[:25]  # kind, length, first and last time
    assert header[0] == 0
    assert int.from_bytes(header[9:17], "big") == 5000
    assert int.from_bytes(header[17:25], "big") == 5995
    groups = window.file.with_suffix(".gtkw").read_text()
    assert f'[dumpfile] "{window.file}"' in groups
    for wanted in ("-host bytes", "-UART bridge", "-bus", "TOP.sim.serial_sink_data[7:0]"):
        assert wanted in groups


def test_a_cut_trace_is_an_error_and_no_file_is_left(tmp_path: Path) -> None:
    window = TraceWindow(500, 600, tmp_path / "toy.fst")
    window.file.write_bytes(b"old")
    running = Simulator(toy_soc.design(), window=window, cycles=1000)
    with pytest.raises(SimulationError, match=r"toy\.fst' was not written: the trace is cut"):
        running.start()
        assert gone(running.pid, 10)
        (cut,) = tmp_path.glob("*/toy.fst")
        cut.write_bytes(cut.read_bytes()[:-1])
        running.end()
    assert window.file.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.fst", "toy.gtkw"]


def test_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "toy.fst"
    blocks = {kind: bytes([kind]) + (20).to_bytes(8, "big") + bytes(12) for kind in (0, 8, 3, 6)}
    whole = b"".join(blocks.values())
    for data, expected in (
        (whole, True),
        (whole[:-1], False),
        (whole + b"\0", False),
        (b"", False),
        (blocks[0] + blocks[8], False),
        (bytes(100), False),
    ):
        path.write_bytes(data)
        assert is_whole(path) == expected


def test_a_simulation_that_ends_before_its_window_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    window = TraceWindow(5000, 6000, tmp_path / "toy.fst")
    with Simulator(toy_soc.design(), window=window, cycles=1000, say=said.append) as running:
        assert gone(running.pid, 10)
    assert not window.file.exists()
    assert said[-1].endswith("was not written: the simulation ended before cycle 5000.")


def test_a_trace_that_cannot_be_written_is_refused_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "toy.fst").mkdir()
    window = TraceWindow(500, 600, tmp_path / "toy.fst")
    with pytest.raises(UserError, match="it is a folder"):
        Simulator(toy_soc.design(), window=window, cycles=1000).start()


def test_window_without_a_cycle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="600:500"):
        TraceWindow(600, 500, tmp_path / "toy.fst")
    with pytest.raises(SimulationError, match="ends neither"):
        TraceWindow(1, 2, tmp_path / "toy.txt")
