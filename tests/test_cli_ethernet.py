"""Verbs on a simulated SoC with Ethernet, through the real command line; two hosts at once."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import LinkError
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device import Device
from dscim.host.device.target import ConnectOptions, open_target
from dscim.host.golden.reference import contract
from tests.commandline import DSCIM, assert_refused, dscim

SMALL = ("--rows", "16", "--columns", "4")
SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)
MVM = [
    "mvm",
    "--activations",
    "x.npy",
    "--weights",
    "w.npy",
    "--output",
    "y.npy",
    *SMALL,
    "--length",
    "64",
]


@pytest.fixture(name="operands")
def _operands(tmp_path: Path) -> Path:
    """A folder with x (3, 40) and w (40, 6)."""
    rng = np.random.default_rng(78)
    for name, shape in {"x": (3, 40), "w": (40, 6)}.items():
        np.save(tmp_path / f"{name}.npy", rng.integers(-128, 128, shape).astype(np.int8))
    return tmp_path


@pytest.fixture(name="targets", scope="module")
def _targets() -> Iterator[dict[str, str]]:
    """The targets "uart" and "eth" of one SoC that `dscim sim --ethernet` serves."""
    process = subprocess.Popen(
        [DSCIM, "sim", "--ethernet", *SMALL, "--quiet"], text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    yield {"uart": f"uart:{lines[0]}", "eth": lines[1]}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def check_product(folder: Path) -> None:
    x, w, y = (np.load(folder / f"{name}.npy") for name in "xwy")
    np.testing.assert_array_equal(y, contract.product(x, w, ProductSpec(length=64)))


def test_a_product_over_ethernet(operands: Path) -> None:
    done = dscim(*MVM, "--target", "sim+eth", "--json", "y.json", folder=operands, seconds=300)
    assert done.returncode == 0, done.stderr
    check_product(operands)
    result = json.loads((operands / "y.json").read_text())
    assert (result["target"], result["counters"]["products"]) == ("sim+eth", 3 * 3 * 2)
    assert result["link"]["frames_received"] >= 10


@pytest.mark.slow
def test_a_selftest_over_ethernet(tmp_path: Path) -> None:
    done = dscim(
        "selftest", "--target", "sim+eth", *SMALL, "--json", "s.json", folder=tmp_path, seconds=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads((tmp_path / "s.json").read_text())
    assert result["holds"] and result["link"]["bytes_received"] > 100_000


@pytest.mark.parametrize("carrier", ["uart", "eth"])
def test_a_product_over_either_way_to_one_soc(
    targets: dict[str, str], operands: Path, carrier: str
) -> None:
    done = dscim(*MVM, "--target", targets[carrier], folder=operands)
    assert done.returncode == 0, done.stderr
    check_product(operands)


@pytest.mark.parametrize("carrier", ["uart", "eth"])
def test_a_device_of_another_spec_is_named(
    targets: dict[str, str], operands: Path, carrier: str
) -> None:
    other = SocSpec(MacroSpec(rows=32, columns=4), requant_lanes=4)
    options = [option if option != "16" else "32" for option in MVM]
    assert_refused(
        dscim(*options, "--target", targets[carrier], folder=operands),
        f"built from spec {SPEC.hash:08x}, but the options describe {other.hash:08x}",
    )


def opened(target: str, *, wait: float = 10.0) -> Device:
    return open_target(target, SPEC, connect=ConnectOptions(wait))


@pytest.mark.parametrize(("first", "second"), [("uart", "eth"), ("eth", "uart"), ("eth", "eth")])
def test_a_second_host_is_rejected_by_name(
    targets: dict[str, str], operands: Path, first: str, second: str
) -> None:
    with opened(targets[first]) as device:
        done = with_session_kept(
            device, *MVM, "--target", targets[second], "--wait", "0", folder=operands
        )
    assert_refused(done, "in use by another host", "--wait", "--take-over")


def test_a_second_host_waits(targets: dict[str, str], operands: Path) -> None:
    """The first computes nothing: its lease ends by itself, as if it had died."""
    device = opened(targets["uart"])
    done = dscim(*MVM, "--target", targets["eth"], "--wait", "60", folder=operands)
    device.close()
    assert done.returncode == 0, done.stderr
    check_product(operands)


def test_a_second_host_takes_over(targets: dict[str, str], operands: Path) -> None:
    with opened(targets["uart"]) as device:
        done = with_session_kept(
            device, *MVM, "--target", targets["eth"], "--take-over", folder=operands
        )
    assert done.returncode == 0, done.stderr
    check_product(operands)


def with_session_kept(
    device: Device, *command: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs `dscim COMMAND` while `device` is read continuously, until it is taken over."""
    process = subprocess.Popen(
        [DSCIM, *command], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while process.poll() is None:
        try:
            device.counted()
        except LinkError as error:
            assert "Another host has taken" in str(error)
            assert "--take-over" in command
            break
        time.sleep(0.02)
    out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)
