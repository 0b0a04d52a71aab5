"""`dscim dut` through pyserial, with the commands of MLPerf Tiny's public runner."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serial

from dscim.gateware.specs import ProductSpec
from dscim.host.device.dut import FORMATS, Protocol
from dscim.host.network import INPUT, Network, predictions, save
from dscim.host.network import run as emulate
from tests.commandline import DSCIM, assert_refused, dscim
from tests.small_network import conv, small_images, small_network

BYTES = 31
"""Bytes of a `db` command of the runner."""


class Runner:
    """Sends commands as the public runner does: each ends with `%`, and its answer with m-ready."""

    def __init__(self, address: str) -> None:
        self.port = serial.serial_for_url(address, 115200, timeout=0.1)

    def command(self, text: str | bytes, seconds: float = 20) -> list[str]:
        self.port.write((text.encode() if isinstance(text, str) else text) + b"%")
        lines: list[str] = []
        until = time.monotonic() + seconds
        line = b""
        while "m-ready" not in lines:
            assert time.monotonic() < until, lines
            line += self.port.readline()
            if line.endswith(b"\n"):
                assert line.endswith(b"\r\n") and line.isascii()
                lines.append(line.decode().strip())
                line = b""
        return lines[:-1]

    def load(self, data: bytes) -> None:
        assert self.command(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        for start in range(0, len(data), BYTES):
            answer = self.command(f"db {data[start : start + BYTES].hex()}")
            assert answer == (["m-load-done"] if start + BYTES >= len(data) else [])

    def infer(self, count: int, warm: int) -> tuple[list[float], int]:
        """The results, and the microseconds of all inferences."""
        lines = self.command(f"infer {count} {warm}", 60)
        assert lines[:3] == [f"m-warmup-start-{warm}", "m-warmup-done", f"m-infer-start-{count}"]
        (results,) = [line for line in lines if line.startswith("m-results-[")]
        first, last = [int(m.group(1)) for m in map(LAP.match, lines) if m]
        assert lines.index("m-infer-done") < lines.index(results)
        return [float(word) for word in results[11:-1].split(",")], last - first


LAP = re.compile(r"^m-lap-us-([0-9]+)$")


@contextmanager
def serving(network: Path, *options: object) -> Iterator[tuple[Runner, "subprocess.Popen[str]"]]:
    """`dscim dut` as a process, and a runner that is connected to it."""
    process = subprocess.Popen(
        [DSCIM, "dut", network, "--quiet", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        good = re.match(r"/dev/pts/\d+$|socket://127\.0\.0\.1:\d+$", address)
        assert good, (address, process.communicate())
        yield Runner(address), process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dut") / "net.npz"
    save(small_network(), path)
    return path


@pytest.mark.parametrize("options", [(), ("--port", 0)], ids=["terminal", "tcp"])
def test_the_runners_session(network: Path, options: tuple[object, ...]) -> None:
    with serving(network, "--model", "ic01", *options) as (runner, _):
        assert runner.command("name") == ["m-name-dut-[dscim]"]
        assert runner.command("profile") == [
            "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
            "m-model-[ic01]",
        ]
        (lap,) = runner.command("timestamp")
        assert LAP.match(lap)
        images = small_images(4)
        last = small_network().nodes[-1]
        for image in images:
            runner.load((image.view(np.uint8) ^ 0x80).tobytes())
            results, microseconds = runner.infer(1, 0)
            outputs = emulate(small_network(), image[None])[last.name]
            real = (outputs.ravel().astype(float) - last.output_zero) * last.output_scale
            np.testing.assert_allclose(results, real, atol=6e-4)
            assert int(np.argmax(results)) == predictions(outputs)[0] and microseconds >= 0
        assert runner.command("results")[0].startswith("m-results-[")
        assert runner.infer(5, 2)[1] > 0


def test_the_time_of_a_device_is_its_cycles(network: Path) -> None:
    data = (small_images(1)[0].view(np.uint8) ^ 0x80).tobytes()
    results = []
    for target in ("ref", "sim"):
        with serving(network, "--model", "vww01", "--target", target, "--clock", 1) as (runner, _):
            runner.load(data)
            answer, microseconds = runner.infer(3, 1)
            results.append(answer)
            lines = runner.command("infer 1 0")
            busy = [re.search(r"busy for (\d+) cycles", line) for line in lines]
            assert any(busy) == (target == "sim")
            if target == "sim":  # at 1 MHz, a microsecond is a cycle
                (cycles,) = [int(found.group(1)) for found in busy if found]
                assert microseconds >= 3 * cycles > 0
    assert results[0] == results[1]


WRONG = [
    ("bogus", "Unknown command: bogus"),
    ("db", "requires a subcommand"),
    ("db load", "requires the number of bytes"),
    ("db load x", "x for the number of bytes"),
    ("db load -5", "-5"),
    ("db load 0", "1..1048576"),
    ("db load 9999999999999999999999", "1..1048576"),
    ("db abc", "all of its 0 bytes"),
    ("db zz", "all of its 0 bytes"),
    ("db print", "0 bytes"),
    ("db print 5 x", "x for the offset"),
    ("infer 1 0", "0 bytes, ic01 takes 192"),
    ("infer 0 0", "1..100000"),
    ("infer -1", "-1"),
    ("infer 1 -1", "-1"),
    ("infer 1e9", "1e9"),
    ("infer 1000000", "1..100000"),
    ("results", "no results"),
    ("x" * 200, "longer than 80"),
    ("name]\x1b[31m", "name??"),
    (b"\xff\xfe\x01", "Unknown command: ???"),
]


def test_wrong_commands_are_one_line(network: Path) -> None:
    with serving(network, "--model", "ic01", "--port", 0) as (runner, _):
        for text, words in WRONG:
            (line,) = runner.command(text)
            assert line.startswith("e-[") and line.endswith("]") and words in line, (text, line)
        assert runner.command("") == []
        runner.command("db load 3")
        assert "not whole bytes" in runner.command("db abc")[0]
        assert "digit 'g'" in runner.command("db 0g")[0]
        assert "1 of the 3 bytes" in (runner.command("db 01"), runner.command("infer 1 0"))[1][0]
        assert runner.command("db 02030405") == ["m-load-done"]
        assert runner.command("db print") == ["m-buffer-01-02-03"]
        assert runner.command("db print 1 2") == ["m-buffer-03"]
        assert "3 bytes, ic01 takes 192" in runner.command("infer 1 0")[0]
        assert "all of its 3 bytes" in runner.command("db 06")[0]
        assert runner.command("name") == ["m-name-dut-[dscim]"]


@pytest.mark.parametrize("options", [(), ("--port", 0)], ids=["terminal", "tcp"])
def test_random_bytes_never_hang_it(network: Path, options: tuple[object, ...]) -> None:
    rng = np.random.default_rng(11)
    with serving(network, "--model", "ic01", *options) as (runner, process):
        for _ in range(40):
            runner.port.write(rng.integers(0, 256, 300, np.uint8).tobytes())
            runner.port.reset_input_buffer()
        time.sleep(0.3)
        runner.command("")
        runner.port.reset_input_buffer()
        time.sleep(0.3)
        runner.port.reset_input_buffer()
        assert runner.command("name")[-1] == "m-name-dut-[dscim]"
        assert process.poll() is None


def test_a_host_that_leaves_and_one_that_comes_too_early(network: Path) -> None:
    with serving(network, "--model", "ic01", "--port", 0) as (runner, process):
        runner.command("name")
        place = ("127.0.0.1", int(runner.port.port.rpartition(":")[2]))
        with socket.create_connection(place, 10) as other:
            assert other.makefile().read() == "e-[Another host is connected]\n"
        runner.load(bytes(192))
        runner.port.write(b"infer 100000 0%")
        time.sleep(0.5)
        runner.port.close()  # in the middle of inferences that would take minutes
        again = Runner(runner.port.port)
        assert again.command("name") == ["m-name-dut-[dscim]"]
        again.port.write(b"infer 100000 0%")
        time.sleep(0.5)
        lines = again.command("name")
        assert any("Stopped: another command" in line for line in lines)
        time.sleep(0.3)
        again.port.reset_input_buffer()
        assert again.command("profile")[1] == "m-model-[ic01]"
        assert process.poll() is None


class Fixed:
    """An inference whose outputs are given."""

    clock = "none"

    def __init__(self, network: Network, outputs: Any) -> None:
        self.network, self._outputs = network, outputs
        self.images: list[Any] = []

    def run(self, images: Any, alive: Any) -> Any:
        self.images.append(images)
        alive()
        return np.broadcast_to(self._outputs, (len(images), *self._outputs.shape))

    def microseconds(self) -> int:
        return 7

    def remark(self) -> str:
        return ""


def answers(form: str, inference: Fixed, data: bytes) -> list[str]:
    """The lines with which the protocol answers an inference on `data`."""
    sent: list[bytes] = []
    protocol = Protocol(inference, FORMATS[form], sent.append)
    protocol.receive(f"db load {len(data)}%".encode())
    for start in range(0, len(data), BYTES):
        protocol.receive(f"db {data[start : start + BYTES].hex()}%".encode())
    sent.clear()
    protocol.receive(b"infer 1 0%")
    return b"".join(sent).decode().split("\r\n")


def autoencoder() -> Network:
    """A network with as many outputs as inputs."""
    node = conv("code", INPUT, 640, 640, 1, np.random.default_rng(2), zeros=(3, -5))
    node = type(node)(**{**vars(node), "output_scale": 0.25})
    return Network("coder", (1, 1, 640), 0.5, 3, (node,))


def test_windows_are_quantised_and_give_a_mean_squared_error() -> None:
    rng = np.random.default_rng(4)
    outputs = rng.integers(-128, 128, (1, 1, 640)).astype(np.int8)
    inference = Fixed(autoencoder(), outputs)
    reals = rng.normal(0, 40, (2, 640)).astype("<f4")
    lines = answers("ad01", inference, reals.tobytes())
    (images,) = inference.images
    expected = np.clip(np.rint(reals.astype(float) / 0.5) + 3, -128, 127)
    np.testing.assert_array_equal(images.reshape(2, 640), expected)
    error = np.mean((0.25 * (outputs.astype(float).ravel() + 5) - reals) ** 2)
    assert f"m-results-[{error:.3f}]" in lines
    reals[1, 3] = np.nan
    assert "not finite" in answers("ad01", inference, reals.tobytes())[0]
    assert "a multiple" in answers("ad01", inference, bytes(2561))[0]


def test_keywords_are_the_networks_own_integers() -> None:
    network = small_network()
    inference = Fixed(network, np.zeros((1, 1, 4), np.int8))
    data = bytes(range(192))
    assert "m-results-" in "".join(answers("kws01", inference, data))
    np.testing.assert_array_equal(
        inference.images[0], np.frombuffer(data, np.int8).reshape(1, *network.shape)
    )


def test_wrong_uses(network: Path, tmp_path: Path) -> None:
    assert_refused(dscim("dut", network), "--model", "ic01", "(8, 8, 3)")
    assert_refused(dscim("dut", network, "--model", "ad01"), "autoencoder")
    assert_refused(dscim("dut", network, "--model", "ic01", "--port", 70000), "70000", "65535")
    assert_refused(dscim("dut", network, "--model", "ic01", "--clock", 0), "--clock 0")
    assert_refused(dscim("dut", network, "--model", "ic01", "--trace", "0:5"), "--trace")
    with serving(network, "--model", "ic01", "--port", 0) as (runner, _):
        port = runner.port.port.rpartition(":")[2]
        assert_refused(dscim("dut", network, "--model", "ic01", "--port", port), port, "in use")
    assert ProductSpec() == small_network().arithmetic and not list(tmp_path.iterdir())
