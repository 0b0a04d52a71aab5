"""Every board, elaborated: its part, PLL and pins, and a UART that follows the clock."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from dscim.boards import board_names, find_board
from dscim.boards.board import Board
from dscim.boards.soc import SYS, Address, Setup, elaborate, lowered
from dscim.gateware import registers
from dscim.gateware.specs.base import SpecError
from dscim.gateware.verilog import steady
from tests.commandline import assert_refused, dscim

pytest.importorskip("litex_boards")

BOARDS = [find_board(name) for name in board_names()]
DEVICES = [(board, device) for board in BOARDS for device in board.devices]
PLLS = {"ecp5": "EHXPLLL", "gowin": "rPLL", "xilinx7": "PLLE2_ADV"}
CONSTRAINTS = {"ecp5": "dscim.lpf", "gowin": "dscim.cst", "xilinx7": "dscim.xdc"}


def setup_of(board: Board, device: str) -> Setup:
    return Setup(
        board,
        device,
        board.spec[device],
        float(board.clock),
        board.baud,
        Address() if board.ethernet else None,
    )


def test_the_promised_boards_exist() -> None:
    promised = {
        "ecpix5",
        "butterstick",
        "ulx4m_ld",
        "ulx3s",
        "colorlight_i5",
        "tang_nano_20k",
        "arty",
    }
    assert promised <= set(board_names())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_is_elaborated(board: Board, tmp_path: Path) -> None:
    device = board.devices[-1]
    setup = setup_of(board, device)
    family = board.parts[device].family
    clocks = elaborate(setup, tmp_path).clocks
    assert abs(clocks[SYS] / board.clock - 1) <= 0.01
    verilog = (tmp_path / "dscim.v").read_text()
    assert "module dscim" in verilog
    assert PLLS[family] in verilog
    step = int(board.baud / clocks[SYS] * 2**32)  # the UART's divisor is for this clock
    assert re.search(rf"'d{step}\b", verilog)
    pins = (tmp_path / CONSTRAINTS[family]).read_text()
    for name in ("serial_rx", "serial_tx", board.oscillator_pin):
        assert name in pins
    assert f"dscim {registers.PROTOCOL} spec {setup.spec.hash:08x}" == _identifier(tmp_path)
    if board.ethernet:
        (pad,) = (name for name in clocks if name.startswith("eth_clocks"))
        assert clocks[pad] == 125e6
        assert f'FREQUENCY PORT "{pad}" 125' in pins
        assert setup.address is not None
        assert re.search(rf"'d{setup.address.mac_address}\b", verilog)


def _identifier(folder: Path) -> str:
    (contents,) = folder.glob("*.init")
    return bytes(int(line, 16) for line in contents.read_text().split()).decode().rstrip("\0")


@pytest.mark.parametrize(
    ("board", "device"), DEVICES, ids=[f"{board.name}-{device}" for board, device in DEVICES]
)
def test_a_declaration_agrees_with_the_platform(board: Board, device: str) -> None:
    platform = board.make_platform(device)
    assert platform.device == board.parts[device].name
    assert platform.default_clk_name == board.oscillator_pin
    assert platform.default_clk_period == pytest.approx(1e9 / board.oscillator)
    assert set(board.spec) == set(board.parts) == set(board.arguments)
    setup_of(board, device)  # its memories fit


def test_a_lower_clock_is_one_that_the_pll_gives() -> None:
    board = find_board("ecpix5")
    setup = setup_of(board, "85F")
    for most in (71_720_000.0, 60_000_000.0, 33_333_333.0):
        clock = lowered(setup, most).clock
        assert 0.97 * most < clock <= most
        again = lowered(setup, clock).clock
        assert again == clock


@pytest.mark.parametrize(
    ("name", "near"), [("expix5", "ecpix5"), ("tangnano", "tang_nano_20k"), ("soc", "arty")]
)
def test_an_unknown_board_is_refused_with_its_neighbours(name: str, near: str) -> None:
    with pytest.raises(SpecError, match=f"Board '{name}' is unknown.*{near}"):
        find_board(name)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(SpecError, match="does not come with the device '12F'; choose 85F or 45F"):
        find_board("ecpix5").device("12F")


def test_memories_that_do_not_fit_are_refused_with_what_would() -> None:
    setup = setup_of(find_board("ecpix5"), "85F")
    macro = dataclasses.replace(setup.spec.macro, columns=256)
    with pytest.raises(
        SpecError,
        match=r"256 columns needs 817 block RAMs and .* has 208; "
        "choose 32 columns or fewer",
    ):
        dataclasses.replace(setup, spec=dataclasses.replace(setup.spec, macro=macro))


@pytest.mark.parametrize("changes", [{"baud": 0}, {"baud": 12_000_000}, {"clock": 5e8}])
def test_what_cannot_be_set_up_is_refused(changes: dict[str, float]) -> None:
    setup = setup_of(find_board("ecpix5"), "85F")
    with pytest.raises(SpecError, match="outside"):
        dataclasses.replace(setup, **changes)


def test_ethernet_is_refused_where_it_cannot_be() -> None:
    setup = setup_of(find_board("ecpix5"), "85F")
    with pytest.raises(SpecError, match="A clock of 25 MHz is too slow for gigabit Ethernet"):
        dataclasses.replace(setup, clock=25e6)
    with pytest.raises(SpecError, match="Board ulx3s has no Ethernet"):
        dataclasses.replace(setup_of(find_board("ulx3s"), "85F"), address=Address())


@pytest.mark.parametrize(
    "ip",
    [
        "",
        "1.2.3",
        "1.2.3.256",
        "1.2.3.4.5",
        "a.b.c.d",
        "224.0.0.1",
        "0.1.2.3",
        "1.2.3.-4",
        "1.2.3.\u0664",
    ],
)
def test_a_wrong_ip_address_is_refused(ip: str) -> None:
    with pytest.raises(SpecError, match="is not the IP address of a device; give four numbers"):
        Address(ip=ip)


@pytest.mark.parametrize(
    "mac",
    [
        "",
        "10:e2:d5:00:00",
        "11:e2:d5:00:00:00",
        "0x10e2d5000000",
        "00:00:00:00:00:00",
        "10:e2:d5:00:00:0g",
    ],
)
def test_a_wrong_mac_address_is_refused(mac: str) -> None:
    with pytest.raises(SpecError, match="is not the MAC address of a device; give six bytes"):
        Address(mac=mac)


def test_table_and_json_agree(tmp_path: Path) -> None:
    done = dscim("boards", "--json", tmp_path / "b.json")
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "b.json").read_text())
    assert [board["board"] for board in facts] == board_names()
    for board in facts:
        for device, found in board["devices"].items():
            assert any(
                board["board"] in line and device in line and str(found["part"]["lut4"]) in line
                for line in done.stdout.splitlines()
            )


def test_build_refuses_an_unknown_board() -> None:
    assert_refused(dscim("build", "ecpix"), "ecpix", "ecpix5")


def test_a_design_is_the_same_text_whenever_and_wherever_it_is_made() -> None:
    """The same design is the same text, of as many lines: the netlist has line numbers."""
    verilog = "// Date     : x\n// LiteX sha1 : {}\nmodule a;\n//  Auto-Generated by LiteX on x\n"
    assert steady(verilog.format("0123abc")) == "//\nmodule a;\n" == steady(verilog.format("no"))
