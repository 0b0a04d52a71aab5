"""What switches, and areas in a library's cells: parts that compute what they should."""

import json

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.fpga.cells import components
from dscim.host.fpga.cells.gates import WARM_UP, Netlist, Switching
from dscim.host.fpga.cells.synthesis import find_yosys
from dscim.host.golden.reference import product
from dscim.host.research.studies.activity import Meter, Operands, bits_of, packed, unpacked
from dscim.host.research.studies.designs import DESIGNS
from dscim.host.research.studies.energy import WAYS, operands, snr
from dscim.host.research.studies.study import Inputs
from tests.commandline import assert_refused, contents, dscim

yosys = pytest.mark.skipif(find_yosys() is None, reason="needs Yosys")

LIBRARY = """library(tiny) {
  cell(BUF) { area : 6; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "A"; } }
  cell(NOT) { area : 3; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "A'"; } }
  cell(NAND) { area : 4.5; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "(A*B)'"; } }
  cell(NOR) { area : 4.5; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "(A+B)'"; } }
  cell(DFF) { area : 18; ff(IQ, IQN) { clocked_on : C; next_state : D; }
    pin(C) { direction : input; clock : true; } pin(D) { direction : input; }
    pin(Q) { direction : output; function : "IQ"; } } }
"""


def test_toggles_of_a_netlist_by_hand():
    """q registers the NAND of a and b: nets a, b (a pin each), y (driver, pin), q (driver)."""
    nets = Netlist((("$_NAND_", (2, 3), 4),), ((4, 5),), {"a": (2,), "b": (3,), "q": (5,)})
    assert nets.transistors == 4 + 16
    assert nets.capacitances(1.0) == {2: 2, 3: 2, 4: 3, 5: 1}
    run = Switching(nets, 2, 1.0)
    for _ in range(WARM_UP):
        run.step(a=[0b00], b=[0b11])
    assert run.toggled == 0
    assert run.step(a=[0b01], b=[0b11])["q"] == [0b11]  # instance 0: a rises, y falls
    assert (run.toggled, run.clocked, run.counted) == (2 + 3, 2, 1)
    assert run.step()["q"] == [0b10]  # a cycle later q falls
    assert run.toggled == 2 + 3 + 1


def test_gates_are_ordered_and_a_strange_one_is_refused():
    nets = Netlist((("$_XOR_", (2, 2), 3),), (), {"a": (2,)})
    with pytest.raises(ValueError, match="XOR"):
        Switching(nets, 1, 1.0).step(a=[1])


def test_packing_is_its_own_inverse():
    bits = np.random.default_rng(0).random((5, 37)) < 0.5
    assert (unpacked(packed(bits), 37) == bits).all()
    assert packed(bits_of(np.array([5, -1]), 3)) == [0b11, 0b10, 0b11]


def agree(design, spec, columns=2):
    rng = np.random.default_rng(1)
    tile = Operands(
        rng.integers(-128, 128, (5, 128)).astype(np.int8),
        rng.integers(-127, 128, (128, columns)).astype(np.int8),
        3 * (not spec.exact),
    )
    meter = Meter()
    found = DESIGNS[design](meter, spec, tile)
    want = product(tile.x, tile.w, spec, tile.zero_point)
    assert len(found) >= 2
    assert (found == (want >> spec.decode_shift)[: len(found)]).all()
    assert all(value >= 0 for value in meter.pins.values())
    return meter


@yosys
def test_fixed_points_count_what_the_contract_counts():
    meter = agree("fixed", ProductSpec(64, 64))
    assert meter.pins["weight SNG"] == 0  # weights and points stay
    assert meter.pins["AND/OR"] > 0


@yosys
@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "spec"),
    [
        ("array", ProductSpec(16, 64, SequenceSpec("lfsr"))),
        ("array", ProductSpec(64, 256, SequenceSpec("lfsr"), activation_shift=1)),
        ("fixed", ProductSpec(16, 64)),
        ("parallel", ProductSpec(exact=True)),
        ("serial", ProductSpec(exact=True)),
    ],
    ids=["array-16-64", "array-64-256", "fixed-16", "parallel", "serial"],
)
def test_every_design_computes_its_products(design, spec):
    meter = agree(design, spec)
    changing = design == "array" and spec.length > 64
    assert (meter.pins.get("weight SNG", 0) > 0) == changing


def test_the_layer_is_the_shipped_networks():
    tile, shift = operands(3)
    assert tile.x.shape == (3, 128)
    assert tile.w.shape == (128, 32)
    assert shift in range(4)
    assert len(np.unique(tile.x)) > 8
    assert snr(WAYS["parallel"][2], tile) is None
    assert snr(ProductSpec(16, 1024), tile) > snr(ProductSpec(16, 64), tile)


@yosys
def test_area_in_a_librarys_cells(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(LIBRARY)
    assert components.library_area(components.Nand(), path) == 4.5
    accumulator = components.library_area(components.SerialAccumulator(3), path)
    assert accumulator > 11 * 18  # eleven flip-flops and logic
    path.write_text("nonsense")
    with pytest.raises(ValueError, match="ERROR"):
        components.library_area(components.Nand(), path)


@yosys
@pytest.mark.slow
def test_area_study_takes_a_library(tmp_path):
    (tmp_path / "tiny.lib").write_text(LIBRARY)
    done = dscim(
        "study",
        "area",
        "--quick",
        "--liberty",
        "tiny.lib",
        "--work",
        "w",
        "--json",
        "r.json",
        folder=tmp_path,
        seconds=900,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert {row["unit"] for row in rows} == {"area of tiny.lib"}


def test_inputs_change_absolute_figures_alone():
    assert Inputs() == Inputs(None, 28.0, 0.9, 0.25, 500.0)
    with pytest.raises(UserError, match=r"voltage 9 V is outside 0\.2\.\.3 V"):
        Inputs(voltage=9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["energy", "--voltage", "7"], ["voltage 7", "0.2..3"]),
        (["area", "--liberty", "no.lib"], ["no.lib", "standard cell"]),
        (["rmse", "--node", "28"], ["rmse", "--node", "energy"]),
    ],
)
def test_misuse_is_one_sentence(arguments, words, tmp_path):
    assert_refused(dscim("study", *arguments, folder=tmp_path), *words)
    assert contents(tmp_path) == []
