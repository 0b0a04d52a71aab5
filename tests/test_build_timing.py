"""The timing check, on reports from nextpnr."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from dscim.host.fpga.bitstream.timing import ReportError, aliases, judge, plain

REPORTS = Path(__file__).parent / "timing_reports"
ECP5_NAMES = {"elaborate_clkout": "sys_clk", "clk100": "por_clk"}
GOWIN_NAMES = {"clkout": "sys_clk", "clkin": "por_clk"}


def recorded(name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((REPORTS / name).read_text())
    return report


def test_a_report_that_meets_passes() -> None:
    timing = judge(recorded("ecp5-echo.json"), {"sys_clk": 75e6, "por_clk": 100e6}, ECP5_NAMES)
    assert timing.met
    assert timing.verdict() == ""
    assert {clock.name: round(clock.reached, 1) for clock in timing.clocks} == {
        "sys_clk": 328.9,
        "por_clk": 381.4,
    }
    assert timing.worst.name == "por_clk"


def test_a_target_above_the_constraint_of_nextpnr_counts() -> None:
    """The open Gowin flow aims at 12 MHz by default, so its report does not have the target."""
    report = recorded("gowin-echo.json")
    assert judge(report, {"sys_clk": 27e6, "por_clk": 27e6}, GOWIN_NAMES).met
    timing = judge(report, {"sys_clk": 400e6, "por_clk": 27e6}, GOWIN_NAMES)
    assert not timing.met
    assert timing.worst.name == "sys_clk"


def test_a_miss_names_clock_target_and_worst_path() -> None:
    report = recorded("ecp5-echo.json")
    timing = judge(report, {"sys_clk": 350e6, "por_clk": 100e6}, ECP5_NAMES)
    assert not timing.met
    verdict = timing.verdict()
    assert "Clock sys_clk reaches 328.95 MHz, below its target of 350.00 MHz" in verdict
    assert "elaborate_rx_tick > " in verdict
    assert "por_clk" not in verdict
    assert "LUT4" not in verdict and "TRELLIS" not in verdict and "$" not in verdict


def test_the_soc_that_missed_by_less_than_a_mhz_does_not_pass() -> None:
    """16 x 4 on ecpix5 at 75 MHz, as nextpnr 0.11.1 placed it."""
    names = {"clocks_clkout": "sys_clk", "clk100": "por_clk"}
    timing = judge(recorded("ecp5-soc.json"), {"sys_clk": 75e6, "por_clk": 100e6}, names)
    assert timing.verdict() == (
        "Clock sys_clk reaches 74.26 MHz, below its target of 75.00 MHz; its worst path is "
        "soc_engine_loops_channels_left > soc_engine_walker_tile_channel > "
        "soc_engine_loops_rows_left > soc_engine_walker_row > soc_engine_walker_tile_ky > "
        "soc_engine_walker_tap_ky (13.5 ns: 4.9 logic, 8.6 routing)."
    )


def test_every_clock_counts() -> None:
    for name in ("sys_clk", "por_clk"):
        asked = {"sys_clk": 75e6, "por_clk": 100e6} | {name: 500e6}
        timing = judge(recorded("ecp5-echo.json"), asked, ECP5_NAMES)
        assert not timing.met
        assert timing.worst.name == name


def test_nextpnrs_own_constraint_counts_where_it_is_more() -> None:
    report = recorded("ecp5-echo.json")
    report["fmax"]["$glbnet$elaborate_clkout"]["constraint"] = 330.0
    assert not judge(report, {"sys_clk": 75e6, "por_clk": 100e6}, ECP5_NAMES).met


def silent(report: dict[str, Any]) -> None:
    del report["fmax"]["$glbnet$elaborate_clkout"]


def empty(report: dict[str, Any]) -> None:
    report["fmax"] = {}


def foreign(report: dict[str, Any]) -> None:
    report["fmax"]["eth_rx_clk"] = {"achieved": 130.0, "constraint": 125.0}


@pytest.mark.parametrize("spoil", [silent, empty, foreign])
def test_a_report_without_its_clocks_never_passes(spoil: Any) -> None:
    report = copy.deepcopy(recorded("ecp5-echo.json"))
    spoil(report)
    with pytest.raises(ReportError, match="nextpnr's report has the clocks"):
        judge(report, {"sys_clk": 75e6, "por_clk": 100e6}, ECP5_NAMES)


def test_a_clock_is_known_by_every_name_of_its_net() -> None:
    netlist = {
        "modules": {
            "dscim": {
                "netnames": {
                    "sys_clk": {"bits": [7]},
                    "clocks_clkout": {"bits": [7]},
                    "clk100": {"bits": [2]},
                    "por_clk": {"bits": [2]},
                    "data": {"bits": [7, 9]},
                    "other": {"bits": [5]},
                }
            }
        }
    }
    assert aliases(netlist, "dscim", ["sys_clk", "por_clk"]) == {
        "sys_clk": "sys_clk",
        "clocks_clkout": "sys_clk",
        "clk100": "por_clk",
        "por_clk": "por_clk",
    }


@pytest.mark.parametrize(
    ("grown", "name"),
    [
        ("core_engine_counter_TRELLIS_FF_Q_3_DI_LUT4_Z", "core_engine_counter"),
        ("core_sum[12]", "core_sum"),
        ("core_sum_CCU2C_S1_2_COUT$CCU2_FCI_INT", "core_sum"),
        ("rx_phase_DFFR_Q_29_D_ALU_SUM_CIN_ALU_COUT", "rx_phase"),
        ("core_weights_memory.0.3_DOA0", "core_weights_memory.0.3_DOA0"),
    ],
)
def test_names_are_those_of_the_design(grown: str, name: str) -> None:
    assert plain(grown) == name
