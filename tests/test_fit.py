"""Estimates without building: sizes compared with builds, cycles compared with the device."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dscim.boards import find_board
from dscim.boards.memories import block_rams
from dscim.boards.soc import Setup
from dscim.errors import UserError
from dscim.gateware.specs import MacroSpec, ProductSpec
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.fpga.cells.contenders import read_table as read_sizes
from dscim.host.fpga.fit import terms
from dscim.host.fpga.fit.design import Design, device
from dscim.host.fpga.fit.factors import ROUGH, Factors, alone_of, fit, non_negative
from dscim.host.fpga.fit.fit import Fitting
from dscim.host.fpga.fit.measured import Measured
from dscim.host.fpga.fit.sides import side
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.fpga.fit.store import read_factors, read_table, write_table
from dscim.host.fpga.fit.table import compare
from dscim.host.fpga.fit.wanted import contenders, wanted
from dscim.host.network import INPUT, MaxPool, Network, Node
from dscim.host.network.shipped import EXACT, TUNED, shipped_network
from tests import nodes
from tests.commandline import assert_refused, dscim
from tests.small_devices import NARROW

MODEL = SizeModel()


def setup_of(name: str, **changes: object) -> Setup:
    board = find_board(name)
    device = board.devices[0]
    setup = Setup(board, device, board.spec[device], float(board.clock), board.baud)
    return dataclasses.replace(setup, **changes)  # type: ignore[arg-type]


def measured_as(design: Design, factors: Factors) -> Measured:
    """A design whose tables are exactly those of the factors."""
    lut4 = SizeModel([], []).synthesised(design)
    macros = sum(
        factors.macros[terms.kind(one)].times(terms.inside(one)) for one in alone_of(design)
    )
    around = 0.0
    if design.device:
        around = factors.around.times(terms.around(design))
        around += factors.depthwise.times(terms.depthwise(design))
    cells = {
        "LUT4": round(macros + around),
        "MULT18X18D": lut4.multipliers,
        "DP16KD": lut4.block_ram,
    }
    return Measured(design, cells, 1.0, "Yosys 9")


def test_the_model_is_within_a_sixth_of_what_was_measured() -> None:
    rows = [row for row in MODEL.rows if MODEL.measured(row.design)]
    names = {row.design.name for row in rows}
    compared = [row for row in compare(MODEL) if row.name in names]
    assert len(compared) == len(rows)
    wrong = [(row.name, row.off) for row in compared if abs(row.off) > 1 / 6]
    assert not wrong
    assert all(row.estimate.block_ram == row.block_ram for row in compared)


def test_stored_factors_are_those_of_the_stored_rows() -> None:
    assert fit(read_table()) == read_factors()


def test_wanted_designs_determine_all_factors() -> None:
    """Rows made with known factors give these back; larger devices are then estimated."""
    known = dataclasses.replace(
        ROUGH,
        macros={
            kind: dataclasses.replace(one, values=tuple(1.5 * value for value in one.values))
            for kind, one in ROUGH.macros.items()
        },
        around=dataclasses.replace(
            ROUGH.around, values=tuple(0.8 * value for value in ROUGH.around.values)
        ),
    )
    rows = [measured_as(design, known) for design in wanted()]
    model = SizeModel(rows, [])
    kinds = {terms.kind(row.design) for row in rows}
    assert len(kinds) == 7
    assert all(model.factors.macros[kind].measured for kind in kinds)
    for macro in (MacroSpec(144, 64, samples=4), MacroSpec(192, 32, 64, samples=4)):
        larger = device(macro, banks=16, requant_lanes=16, ethernet=True)
        assert model.measured(larger)
        expected = measured_as(larger, known)
        assert model.estimate(larger).lut4 == pytest.approx(expected.lut4, rel=0.01)
        assert model.estimate(larger).multipliers == expected.multipliers
        assert model.estimate(larger).block_ram == expected.block_ram


def test_the_depthwise_unit_has_terms_and_blocks_of_its_own() -> None:
    """Within a seventh of what Yosys counts for units alone."""
    for columns, banks, samples, lut4 in ((8, 4, 4, 4439), (8, 4, 8, 5610), (32, 4, 4, 5273)):
        macro = MacroSpec(16, columns, samples=16)
        plain, unit = (
            device(macro, banks=banks, depthwise=size, requant_lanes=1) for size in (0, samples)
        )
        sizes = [SizeModel([], []).synthesised(design) for design in (plain, unit)]
        added = sizes[1].lut4 - sizes[0].lut4
        assert added == pytest.approx(lut4, rel=1 / 7)
        assert sizes[1].block_ram - sizes[0].block_ram == 4 * banks


def test_fewer_designs_than_factors_leave_the_rough_ones() -> None:
    rows = [measured_as(design, ROUGH) for design in wanted()[:3]]
    model = SizeModel(rows, [])
    assert model.factors == dataclasses.replace(ROUGH, macros=dict(ROUGH.macros))
    assert not model.measured(rows[0].design)


def test_factors_are_not_negative() -> None:
    """The best factors of both columns are 3 and -1: the second one must be left out."""
    matrix = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    factors = non_negative(matrix, np.array([3.0, 2.0, 1.0]))
    assert factors == pytest.approx([2.0, 0.0])
    assert non_negative(matrix, np.array([1.0, 3.0, 5.0])) == pytest.approx([1.0, 2.0])


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        Measured(design, {"LUT4": place + 1, "CCU2C": 2}, 1.5, "Yosys 9")
        for place, design in enumerate(wanted())
    ]
    write_table(rows, tmp_path / "sizes.json")
    assert read_table(tmp_path / "sizes.json") == rows
    assert read_factors(tmp_path / "sizes.json") == fit(rows)
    assert len({row.design.name for row in rows}) == len({row.design for row in rows})
    assert rows[3].lut4 == 4 + 2 * 2


def test_a_kind_that_was_never_synthesised_has_no_estimate() -> None:
    message = "64 x 4 exact 2, G = 64: no macro of this kind was synthesised"
    with pytest.raises(UserError, match=message):
        MODEL.estimate(Design(MacroSpec(64, 4, 64, "exact", lanes=2)))


def every_kind(rng: np.random.Generator, shape: tuple[int, int, int]) -> Network:
    """Convolution, depthwise, add, pools and classifier, one after the other."""
    window = {"kernel": (3, 3), "padding": ((1, 1), (1, 1))}
    made: list[Node] = []

    def zero() -> int:
        return made[-1].output_zero if made else 0

    made.append(nodes.conv(rng, "first", INPUT, shape, 0, shape[2], window=window))
    made.append(nodes.depthwise(rng, "second", "first", shape, zero(), window=window))
    made.append(nodes.add(rng, "sum", ("first", "second"), (made[0].output_zero, zero())))
    made.append(MaxPool("max", ("sum",), zero(), 1.0, kernel=(3, 3), stride=(2, 2)))
    made.append(nodes.requantise(rng, "again", "max", zero()))
    small = made[-2].output_shape([shape])
    made.append(nodes.mean(rng, "mean", "again", small, zero()))
    made.append(
        nodes.conv(rng, "last", "mean", (1, 1, shape[2]), zero(), 11, window={"kernel": (1, 1)})
    )
    return Network("every", shape, 1.0, 0, tuple(made))


@pytest.mark.parametrize("words", [4096, pytest.param(64, marks=pytest.mark.slow)])
def test_cycles_are_the_devices(words: int) -> None:
    """Including layers that run in strips."""
    rng = np.random.default_rng(3)
    shape = (9, 7, 5)
    network = every_kind(rng, shape)
    spec = dataclasses.replace(NARROW, activation_words=words)
    speed = network_speed(network, ProductSpec(), spec)
    assert any(layer.strips > 1 for layer in speed.layers) == (words == 64)
    with open_target("sim", spec) as device:
        run = NetworkRun(
            [device], network, ProductSpec(), nodes.random_image(rng, shape)[None], compare=False
        )
        list(run.execute(lambda *_: None))
        assert run.holds
        assert run.counters.cycles_busy == speed.cycles


def test_what_fits_is_reported_with_its_speed() -> None:
    network = shipped_network(TUNED)
    found = Fitting(network, ProductSpec(), MODEL).fit(setup_of("ecpix5"))
    assert found.faults == () and found.change is None
    assert found.speed is not None and found.speed.resident and found.speed.cycles
    assert sum(layer.cycles or 0 for layer in found.speed.layers) == found.speed.cycles


def test_what_does_not_fit_is_reported_with_the_smallest_change() -> None:
    """A weight memory half as large as needed; a macro too large for every part of the board."""
    network = shipped_network(TUNED)
    setup = setup_of("ecpix5")
    fitting = Fitting(network, ProductSpec(), MODEL)
    short = dataclasses.replace(setup.spec, weight_rows=1024)
    found = fitting.fit(dataclasses.replace(setup, spec=short))
    assert "The weights do not fit the device at once" in found.faults[0]
    assert found.change is not None and found.change.startswith("--weight-rows ")
    rows = int(found.change.split()[1])
    for weight_rows, fits in ((rows, True), (rows // 2, False)):
        trial = dataclasses.replace(short, weight_rows=weight_rows)
        assert (fitting.fit(dataclasses.replace(setup, spec=trial)).faults == ()) is fits
    macro = MacroSpec(512, 32, lanes=16, samples=16)
    broad = dataclasses.replace(setup.spec, macro=macro, weight_rows=2560)
    found = fitting.fit(dataclasses.replace(setup, spec=broad))
    assert "four-input tables" in found.faults[0]
    assert found.change is not None and found.change.startswith("--rows ")


def test_the_smallest_board_reports_what_is_missing() -> None:
    found = Fitting(shipped_network(TUNED), ProductSpec(), MODEL).fit(setup_of("tang_nano_20k"))
    assert found.faults


def test_block_rams_grow_with_every_memory() -> None:
    least = block_rams(NARROW)
    for change in (
        {"activation_words": 1 << 15},
        {"weight_rows": 1 << 13},
        {"channels": 4096},
        {"descriptors": 2048},
        {"strip": 4096},
    ):
        assert block_rams(dataclasses.replace(NARROW, **change)) > least


def test_contenders_have_one_schedule_and_known_sizes() -> None:
    sides = [side(*contender, MODEL, []) for contender in contenders(128, 4)]
    assert [one.cycles for one in sides] == [4, 256, 1, 64, 4, 4]
    assert all(one.megahertz is None and one.giga_products is None for one in sides)
    larger = [side(*contender, MODEL, []) for contender in contenders(128, 32)]
    assert {one.source for one in larger} == {"model"}
    assert all(
        1.2 * small.lut4 < large.lut4 < 9 * small.lut4
        for small, large in zip(sides, larger, strict=True)
    )


def test_the_command_line(tmp_path: Path) -> None:
    file = Path(__file__).parents[1] / "host" / "data" / EXACT
    done = dscim("fit", file, "ecpix5", "--exact", "--json", tmp_path / "fit.json")
    facts = json.loads((tmp_path / "fit.json").read_text())
    assert done.returncode == (1 if facts["faults"] else 0), done.stderr
    assert f"{facts['cycles']} cycles per image" in done.stdout
    assert facts["inferences_per_second"] == pytest.approx(
        find_board("ecpix5").clock / facts["cycles"]
    )
    for options, status in ((("--rows", 64), 0), (("--columns", 16), 1)):
        done = dscim("fit", file.with_name(TUNED), "ecpix5", *options)
        place = done.stdout.find("It fits." if status == 0 else "It does not fit: ")
        assert (done.returncode, done.stderr) == (status, "") and place >= 0
        assert (place > done.stdout.find("four-input tables")) == (status == 0)
    assert_refused(dscim("fit", file, "ecpix"), "ecpix5")
    assert_refused(dscim("fit"), "network file and a board")
    assert_refused(dscim("fit", file, "ecpix5", "--weight-rows", "1000"), "1000", "multiple of 16")
    done = dscim("macros", "--json", tmp_path / "m.json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "m.json").read_text())) == len(read_sizes())
