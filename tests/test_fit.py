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
from dscim.host.fpga.fit.design import Design
from dscim.host.fpga.fit.fit import Fitting
from dscim.host.fpga.fit.measure import (
    Measured,
    contenders,
    read_table,
    wanted,
    write_table,
)
from dscim.host.fpga.fit.sides import side
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.fpga.fit.table import compare
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


def test_the_model_is_within_a_tenth_of_what_was_built() -> None:
    rows = compare(MODEL)
    assert len(rows) > 20
    wrong = [(row.name, row.off) for row in rows if abs(row.off) > 0.1]
    assert not wrong
    assert all(row.estimate.block_ram == row.block_ram for row in rows)
    assert all(row.estimate.multipliers == row.multipliers for row in rows)


def test_a_design_left_out_of_the_table_is_estimated_within_a_tenth() -> None:
    """The largest macro of a kind, estimated from its smaller ones: the model's purpose."""
    rows = [
        row
        for row in MODEL.rows
        if row.design.device is None
        and row.design.macro.form == "selected"
        and row.design.macro.or_width == 16
        and row.design.macro.lanes == 16
    ]
    largest = max(rows, key=lambda row: row.lut4)
    others = SizeModel([row for row in MODEL.rows if row is not largest])
    assert others.estimate(largest.design).lut4 == pytest.approx(largest.lut4, rel=0.1)


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        Measured(design, {"LUT4": place, "CCU2C": 2}, 1.5, "Yosys 9")
        for place, design in enumerate(wanted())
    ]
    write_table(rows, tmp_path / "sizes.json")
    assert read_table(tmp_path / "sizes.json") == rows
    assert len({row.design.name for row in rows}) == len({row.design for row in rows})
    assert rows[3].lut4 == 3 + 2 * 2


def test_a_kind_that_was_never_synthesised_has_no_estimate() -> None:
    message = "16 x 4 selected 2, G = 16: no macro of this kind was synthesised"
    with pytest.raises(UserError, match=message):
        MODEL.estimate(Design(MacroSpec(16, 4, lanes=2)))


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
    broad = dataclasses.replace(setup.spec, macro=MacroSpec(512, 32, lanes=16), weight_rows=4096)
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
    assert {one.source for one in sides} == {"Yosys"}
    assert [one.cycles for one in sides] == [16, 256, 16, 64, 16, 16]
    assert all(one.megahertz is None and one.giga_products is None for one in sides)
    larger = [side(*contender, MODEL, []) for contender in contenders(128, 32)]
    assert {one.source for one in larger} == {"model"}
    assert all(
        1.5 * small.lut4 < large.lut4 < 9 * small.lut4
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
    assert_refused(dscim("fit", file, "ecpix"), "ecpix5")
    assert_refused(dscim("fit"), "network file and a board")
    assert_refused(dscim("fit", file, "ecpix5", "--weight-rows", "1000"), "1000", "multiple of 16")
    done = dscim("macros", "--json", tmp_path / "m.json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "m.json").read_text())) == len(read_sizes())
