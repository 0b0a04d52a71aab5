"""The reports of finished builds: they met timing, and the README shows their values."""

from pathlib import Path

import pytest

from dscim.boards import find_board
from dscim.boards.soc import SYS
from dscim.gateware.specs import SocSpec
from dscim.host.fpga.bitstream.reports import COLUMNS, read_reports, row
from dscim.host.fpga.fit import results
from dscim.host.fpga.fit.design import current
from dscim.host.fpga.fit.rates import rates
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.table import built
from dscim.host.research import pages
from tests.commandline import assert_refused, dscim

README = Path(__file__).parent.parent / "README.md"
REPORTS = read_reports()


def test_each_build_has_one_report() -> None:
    assert REPORTS
    assert len({facts["command"] for facts in REPORTS}) == len(REPORTS)


@pytest.mark.parametrize("facts", REPORTS, ids=lambda facts: facts["command"])
def test_a_report_is_of_a_bitstream_that_met_timing(facts: dict) -> None:
    board = find_board(facts["board"])
    assert facts["built"] and len(facts["sha256"]) == 64
    assert facts["command"].startswith(f"dscim build {board.name}")
    assert facts["part"] == board.parts[facts["device"]].name
    assert SYS in facts["clocks"] and (facts["ip"] is None) == (len(facts["clocks"]) < 3)
    for clock in facts["clocks"].values():
        assert clock["reached_mhz"] >= clock["asked_mhz"] > 0
    for count in facts["cells"].values():
        assert 0 <= count["used"] <= count["available"]
    assert f"{SocSpec.from_json(facts['spec']).hash:08x}" == facts["spec_hash"]
    assert len(row(facts)) == len(COLUMNS)


def test_estimates_of_builds_are_within_a_tenth() -> None:
    rows = built(SizeModel())
    assert len(rows) == sum(map(current, REPORTS))
    assert [one.name for one in rows if abs(one.off) > 0.1] == []
    assert all(
        (one.block_ram, one.multipliers) == (one.estimate.block_ram, one.estimate.multipliers)
        for one in rows
    )


def test_rates_are_of_the_arithmetics_that_a_build_computes() -> None:
    """Each with the accuracy of the table that ships."""
    found = list(rates())
    assert {rate.build for rate in found} == {facts["command"] for facts in REPORTS}
    for rate in found:
        spec = next(SocSpec.from_json(f["spec"]) for f in REPORTS if f["command"] == rate.build)
        stochastic = [macro.or_width for macro in spec.macros if macro.form != "exact"]
        names = {16: "ds-cim1", 64: "ds-cim2"}
        assert rate.arithmetic.split(",")[0] in {"exact INT8", *(names[g] for g in stochastic)}
        assert 0.1 < rate.accuracy < 0.95
        assert rate.per_second == pytest.approx(1e6 * rate.megahertz / rate.cycles)


def test_the_readme_shows_the_reports(tmp_path: Path) -> None:
    text = README.read_text()
    names = [found[3] for found in pages.BLOCK.finditer(text) if found[2] == "table"]
    assert sorted(names) == sorted(results.TABLES)
    assert pages.rendered(text) == text
    wrong = tmp_path / "wrong.md"
    wrong.write_text("<!-- table builds -->\n| old |\n<!-- end -->\n")
    done = dscim("dev", "pages", wrong)
    assert done.returncode == 1 and "run with --write" in done.stdout
    assert dscim("dev", "pages", wrong, "--write").returncode == 0
    assert dscim("dev", "pages", wrong).returncode == 0
    wrong.write_text("<!-- table sizes -->\n<!-- end -->\n")
    assert_refused(dscim("dev", "pages", wrong), "no table 'sizes'; choose one of builds,")


def test_boards_prints_them(tmp_path: Path) -> None:
    done = dscim("boards")
    assert done.returncode == 0
    for facts in REPORTS:
        assert f"{facts['clocks'][SYS]['reached_mhz']:.1f}" in done.stdout
