"""`dscim mvm` through the real command line."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec, SequenceSpec, table_gain, table_sequence
from dscim.host.cli import main
from dscim.host.device import Device
from dscim.host.golden.emulator import product as product_of
from dscim.host.golden.emulator import why_no_kernel
from dscim.host.golden.reference import contract
from dscim.host.golden.reference import product as reference_product
from tests.commandline import assert_refused, contents, dscim

SEED = 20260


@pytest.fixture(name="operands")
def _operands(tmp_path: Path) -> Path:
    """A folder with x.npy (5, 150) and w.npy (150, 33) and some wrong ones."""
    rng = np.random.default_rng(SEED)
    x = rng.integers(-128, 128, (5, 150)).astype(np.int8)
    arrays: dict[str, Any] = {
        "x": x,
        "w": rng.integers(-128, 128, (150, 33)).astype(np.int8),
        "short": x[:, :149],
        "flat": x[0],
        "none": x[:0],
        "wide": x.astype(np.int16) + 128,
        "nan": np.where(np.arange(150) == 7, np.nan, x),
        "objects": np.array([None]),
        "deep": np.zeros((1, 32768), np.int8),
        "deepw": np.zeros((32768, 1), np.int8),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    np.savez(tmp_path / "many.npz", x=x)
    (tmp_path / "text.npy").write_text("1 2 3")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:200])
    return tmp_path


def mvm(folder: Path, *options: object, x: str = "x.npy", w: str = "w.npy") -> Any:
    """Runs `dscim mvm` there on x and w, the output in y.npy."""
    return dscim(
        "mvm",
        "--activations",
        x,
        "--weights",
        w,
        "--output",
        "y.npy",
        *options,
        folder=folder,
        seconds=600,
    )


LFSR = SequenceSpec("lfsr", (0x8E, 0xFA), (56, 201))


@pytest.mark.parametrize(
    ("options", "product"),
    [
        ([], ProductSpec()),
        (
            [
                "--variant",
                "ds-cim2",
                "--length",
                "64",
                "--sequence",
                "lfsr",
                "--taps",
                "0x8E,0xFA",
                "--seeds",
                "56,201",
                "--signed",
                "offset",
            ],
            ProductSpec(64, 64, LFSR, "offset"),
        ),
        (
            ["--length", "1024", "--activation-shift", "2"],
            ProductSpec(length=1024, activation_shift=2),
        ),
        (["--form", "array", "--lanes", "4", "--rows", "64", "--columns", "8"], ProductSpec()),
    ],
)
@pytest.mark.parametrize("zero_point", [0, -7])
def test_equals_the_contract(
    operands: Path, options: list[str], product: ProductSpec, zero_point: int
) -> None:
    done = mvm(operands, *options, f"--zero-point={zero_point}", "--json", "y.json")
    assert done.returncode == 0, done.stderr
    x, w, y = (np.load(operands / f"{name}.npy") for name in "xwy")
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, contract.product(x, w, product, zero_point))
    result = json.loads((operands / "y.json").read_text())
    exact = (x.astype(np.int64) - zero_point) @ w.astype(np.int64)
    assert result["rmse"] == pytest.approx(np.sqrt(np.mean((y - exact) ** 2)), rel=1e-12)
    assert ProductSpec.from_json(result["product"]) == product
    assert f"{result['rmse_percent']:.4f} %" in done.stdout


def test_a_scaled_table_keeps_its_shifts_and_prints_its_gain(operands: Path) -> None:
    done = mvm(operands, "--table", "gaussian-scaled", "--json", "y.json")
    assert done.returncode == 0, done.stderr
    spec = ProductSpec(sequence=table_sequence("gaussian-scaled"))
    x, w, y = (np.load(operands / f"{name}.npy") for name in "xwy")
    np.testing.assert_array_equal(y, contract.product(x, w, spec))
    result = json.loads((operands / "y.json").read_text())
    scaled = result["with_gain"]
    assert scaled["gain"] == table_gain(spec.sequence, 16) > 1
    error = scaled["gain"] * y - x.astype(np.int64) @ w.astype(np.int64)
    assert scaled["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert scaled["rmse"] != result["rmse"]
    assert f"gain of {scaled['gain']}" in done.stdout


@pytest.mark.parametrize("options", [[], ["--exact"], ["--length", "64", "--signed", "offset"]])
def test_the_devices_own_steps_agree_with_the_emulator(operands: Path, options: list[str]) -> None:
    assert mvm(operands, *options).returncode == 0
    emulated = np.load(operands / "y.npy")
    done = mvm(operands, *options, "--compare", "--json", "y.json")
    assert done.returncode == 0, done.stderr
    assert f"{emulated.size} values were compared with the emulator: all agree." in done.stdout
    np.testing.assert_array_equal(np.load(operands / "y.npy"), emulated)
    result = json.loads((operands / "y.json").read_text())
    assert (result["compared"], result["differing"]) == (emulated.size, 0)


def test_a_value_that_differs_is_exit_status_1(
    operands: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    multiply = Device.multiply

    def wrong(*arguments: Any) -> Any:
        run = multiply(*arguments)
        run.values[1, 2] += 1
        return run

    monkeypatch.chdir(operands)
    monkeypatch.setattr(Device, "multiply", wrong)
    words = ["mvm", "--activations", "x.npy", "--weights", "w.npy", "--output", "y.npy"]
    assert main([*words, "--compare"]) == 1
    assert "compared with the emulator: 1 DIFFER." in capsys.readouterr().out
    assert main(words) == 0


def test_a_large_product_takes_at_most_ten_times_that_of_float32(operands: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (2000, 1500), np.int8)
    w = rng.integers(-128, 128, (1500, 1000), np.int8)
    steps: list[tuple[int, int]] = []
    emulated = product_of(x, w, ProductSpec(), 3, lambda *step: steps.append(step))
    assert steps[-1] == (2000 * 1000, 2000 * 1000) and len(steps) > 10
    np.testing.assert_array_equal(emulated[:20], reference_product(x[:20], w, ProductSpec(), 3))
    if why_no_kernel():
        return
    a, b = x.astype(np.float32), w.astype(np.float32)
    ratios = []
    for _ in range(5):  # the best of five: the machine may be loaded
        start = time.monotonic()
        a @ b
        middle = time.monotonic()
        product_of(x, w, ProductSpec())
        ratios.append((time.monotonic() - middle) / (middle - start))
    assert min(ratios) <= 10


def test_exact_is_exact(operands: Path) -> None:
    done = mvm(operands, "--exact", "--zero-point", 5)
    assert done.returncode == 0, done.stderr
    x, w, y = (np.load(operands / f"{name}.npy").astype(np.int64) for name in "xwy")
    np.testing.assert_array_equal(y, (x - 5) @ w)
    assert "RMSE against the exact product: 0 " in done.stdout


def test_quiet_is_quiet(operands: Path) -> None:
    done = mvm(operands, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (operands / "y.npy").exists()


WRONG_FILES = [
    ({"x": "absent.npy"}, ["absent.npy"]),
    ({"x": "short.npy"}, ["149", "150"]),
    ({"x": "flat.npy"}, ["(150,)"]),
    ({"x": "none.npy"}, ["(0, 150)"]),
    ({"x": "wide.npy"}, ["int16", "int8"]),
    ({"x": "nan.npy"}, ["NaN", "[0, 7]"]),
    ({"x": "objects.npy"}, ["objects.npy"]),
    ({"x": "many.npz"}, ["many.npz"]),
    ({"w": "text.npy"}, ["text.npy"]),
    ({"w": "cut.npy"}, ["cut.npy"]),
    ({"x": "deep.npy", "w": "deepw.npy"}, ["32768", "32767"]),
]


@pytest.mark.parametrize(("files", "words"), WRONG_FILES)
def test_wrong_files(operands: Path, files: dict[str, str], words: list[str]) -> None:
    before = contents(operands)
    assert_refused(mvm(operands, **files), *words)
    assert contents(operands) == before


WRONG_OPTIONS = [
    ("--length 250", ["250", "16", "1024"]),
    ("--length 2048", ["2048", "1024"]),
    ("--variant ds-cim3", ["ds-cim3", "ds-cim1"]),
    ("--signed both", ["both", "split"]),
    ("--sequence sobol", ["sobol", "counter"]),
    ("--sequence lfsr --taps 1,0x95", ["0x1"]),
    ("--taps 0x95", ["0x95"]),
    ("--taps 0x95,0x95", ["counter", "lfsr"]),
    ("--sequence lfsr --seeds 0,1", ["0", "1..255"]),
    ("--activation-shift 4", ["4", "0..3"]),
    ("--signed offset --activation-shift 1", ["offset"]),
    ("--zero-point 128", ["128"]),
    ("--rows 100", ["100", "16"]),
    ("--columns 33", ["33"]),
    ("--lanes 3", ["3 lanes"]),
    ("--form array --lanes 64 --length 32", ["32", "64 lanes"]),
    ("--target moon", ["moon"]),
    ("--json no/y.json", ["no/y.json"]),
    ("--output no/y.npy", ["no/y.npy"]),
    ("--output .", ["."]),
]


@pytest.mark.parametrize(("options", "words"), WRONG_OPTIONS)
def test_wrong_options(operands: Path, options: str, words: list[str]) -> None:
    before = contents(operands)
    assert_refused(mvm(operands, *options.split()), *words)
    assert contents(operands) == before
