"""The netlist of a macro, with Yosys's models of ECP5 cells, computes the same bits."""

from pathlib import Path

import pytest

from dscim.gateware.specs import MacroSpec
from tests.built_macro import NETLIST, differing, model, synthesised
from tests.ecp5_cells import models

pytestmark = pytest.mark.slow
FORMS = {
    "selected": MacroSpec(rows=16, columns=4),
    "array": MacroSpec(rows=16, columns=4, form="array", lanes=1),
    "exact": MacroSpec(rows=16, columns=4, form="exact", lanes=1),
}
QUIET = ("PINMISSING", "SPECIFYIGN", "INITIALDLY")


@pytest.mark.parametrize("form", FORMS)
def test_the_netlist_equals_the_contract(form: str, tmp_path: Path) -> None:
    """LUT4, CCU2C, DPR16X4 and flip-flops, synthesised as for bitstreams."""
    spec = FORMS[form]
    cells = tmp_path / "cells.v"
    cells.write_text(models())
    found = synthesised(spec, tmp_path) / NETLIST
    assert "LUT4" in found.read_text()
    made = model(f"netlist-{form}", spec, [found, cells], QUIET)
    for stall in (0, 30):
        assert differing(made, spec, stall) == 0
