"""A placed and routed macro computes the same bits, wire by wire."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dscim.boards.ecpix5 import BOARD
from dscim.boards.soc import TOP
from dscim.gateware.specs import MacroSpec
from dscim.host.fpga.bitstream.families import FAMILIES
from dscim.host.fpga.bitstream.step import Step, run_step
from dscim.host.fpga.bitstream.tools import NEXTPNR_ECP5, find_tool
from tests.built_macro import CELLS, differing, model, synthesised
from tests.routed_design import RoutedDesign
from tests.trellis_cells import MODELS, pin_wire

pytestmark = pytest.mark.slow
SPEC = MacroSpec(rows=16, columns=4)
CLOCK = 50e6


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The macro with a pad for each bit of its ports, built as for bitstreams."""
    folder = tmp_path_factory.mktemp("routed")
    pins = folder / f"{TOP}.lpf"
    pins.write_text(f'FREQUENCY PORT "sys_clk" {CLOCK / 1e6:g} MHZ;\n')
    place = FAMILIES["ecp5"].place(BOARD.parts["85F"], {"sys_clk": CLOCK}, 1)
    done = run_step(
        Step(
            "routed",
            "place and route",
            find_tool(NEXTPNR_ECP5),
            (*place, "--lpf-allow-unconstrained", "--write", "routed.json"),
            {CELLS: synthesised(SPEC, folder) / CELLS, pins.name: pins},
            ("routed.json",),
            60,
        ),
        print,
        lambda *_: None,
    )
    return done.folder / "routed.json"


def built(design: RoutedDesign, name: str, folder: Path) -> Path:
    """The executable of a design, with all of Verilator's warnings enabled."""
    sources = [folder / "routed.v", folder / "trellis_cells.v"]
    for source, text in zip(sources, (design.verilog(), MODELS), strict=True):
        source.write_text(text)
    return model(name, SPEC, sources, ())


def test_the_routed_macro_equals_the_contract(routed: Path, tmp_path: Path) -> None:
    design = RoutedDesign(routed)
    kinds = {cell["type"] for cell in design.cells.values()}
    assert kinds == {"TRELLIS_COMB", "TRELLIS_RAMW", "TRELLIS_FF", "TRELLIS_IO", "DCCA"}
    made = built(design, "routed", tmp_path)
    for stall in (0, 30):
        assert differing(made, SPEC, stall) == 0


def another_table(design: RoutedDesign) -> None:
    """Inverts the table before the first flip-flop of a term."""
    registered = [
        cell["connections"]["DI"]
        for name, cell in sorted(design.cells.items())
        if name.startswith("term") and cell["connections"].get("DI")
    ]
    table = next(
        cell["parameters"]
        for cell in design.cells.values()
        if cell["type"] == "TRELLIS_COMB" and cell["connections"]["F"] == registered[0]
    )
    table["INITVAL"] = "".join(str(1 - int(bit)) for bit in table["INITVAL"])


def another_route(design: RoutedDesign) -> None:
    """The last switches before the pads of two bits of a count, exchanged."""
    bits = design.ports["products_counts"]["bits"]
    one, other = (
        pin_wire("TRELLIS_IO", cell["attributes"]["NEXTPNR_BEL"], "I")
        for cell in design.cells.values()
        if cell["connections"].get("B") in ([bits[0]], [bits[1]])
    )
    sources = design.sources
    sources[one], sources[other] = sources[other], sources[one]


@pytest.mark.parametrize("fault", [another_table, another_route])
def test_a_fault_is_seen(
    fault: Callable[[RoutedDesign], None], routed: Path, tmp_path: Path
) -> None:
    design = RoutedDesign(routed)
    fault(design)
    assert differing(built(design, f"routed-{fault.__name__}", tmp_path), SPEC, 0) > 0
