"""Options that shape the device of a board, shared by `dscim build` and `dscim fit`."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from dscim.boards import find_board
from dscim.boards.board import Board
from dscim.boards.soc import IP, MAC, Address, Setup
from dscim.errors import UserError
from dscim.gateware.specs import VARIANTS, SocSpec
from dscim.gateware.specs.macro import FORMS
from dscim.gateware.specs.product import SIGNED_MODES
from dscim.host.cli.options import choice, option, switch
from dscim.host.fpga.fit.options import MACRO_SIZES, SIZES

MEGA = 1e6


@dataclass(frozen=True, kw_only=True)
class SetupOptions:
    """A device for a board; None: as the board declares it."""

    GROUP = "device (default: the board's own)"
    device: str | None = option("D", "the board's FPGA, for example 85F")
    rows: int | None = option("R", "rows of the macro")
    columns: int | None = option("C", "columns of the macro")
    form: str | None = choice(FORMS, "form of the macro; exact: P rows of each group per cycle")
    lanes: int | None = option("P", "sample points per cycle")
    samples: int | None = option(
        "N", "largest number of samples per row that is built, a power of two (default: all)"
    )
    variant: str | None = choice(VARIANTS, "ds-cim1 (OR of 16 rows) or ds-cim2 (of 64)")
    signed: str | None = choice(SIGNED_MODES, "the only signed mode that is built")
    exact: bool = switch("also add an exact macro")
    weight_rows: int | None = option("N", "size of the weight memory, in rows")
    channels: int | None = option("N", "size of the parameter memory, in channels")
    activation_words: int | None = option("N", "size of the activation memory, in words of 8 bytes")
    banks: int | None = option("B", "banks of the activation memory: words read per cycle")
    read_ports: int | None = option(
        "N", "read ports of the activation memory; with 2, words of windows need not wait"
    )
    strip: int | None = option("N", "size of the memory of partial sums, in pixels")
    requant_lanes: int | None = option("N", "channels requantised per cycle")
    descriptors: int | None = option("N", "size of the descriptor memory, in descriptors")
    depthwise: int | None = option(
        "S", "samples per cycle of each product in the depthwise unit; 0: no unit"
    )
    clock: float | None = option("MHZ", "clock frequency of the device in MHz")
    baud: int | None = option("B", "rate of the UART in baud")
    ip: str | None = option("A", f"IP address, if the board has Ethernet (default: {IP})")
    mac: str | None = option("A", f"MAC address (default: {MAC})")
    no_ethernet: bool = switch("leave out Ethernet; the UART is then the only link")
    scope: bool = switch("add LiteScope on the engine's and the macro's signals")


def setup_for(name: str, options: SetupOptions) -> Setup:
    """The setup of the options on the board `name`; SpecError if it cannot be built."""
    board = find_board(name)
    device = board.device(options.device)
    clock = board.clock if options.clock is None else options.clock * MEGA
    return Setup(
        board,
        device,
        _spec(board, device, options),
        float(clock),
        board.baud if options.baud is None else options.baud,
        _address(board, options),
        options.scope,
    )


def _address(board: Board, options: SetupOptions) -> Address | None:
    """The addresses of --ip and --mac; None for a device without Ethernet."""
    addressed = options.ip is not None or options.mac is not None
    if options.no_ethernet and addressed:
        raise UserError("--no-ethernet excludes --ip and --mac; leave out one or the other.")
    if options.no_ethernet or (board.ethernet is None and not addressed):
        return None
    return Address(options.ip or IP, options.mac or MAC)


def _spec(board: Board, device: str, options: SetupOptions) -> SocSpec:
    """The board's default device with the changes of the options."""
    spec = board.spec[device]
    macro = spec.macro
    changes: dict[str, Any] = {}
    if options.variant is not None:
        changes = {"or_width": VARIANTS[options.variant]}
    if options.form is not None and options.form != macro.form:
        changes |= {"form": options.form}
        if options.form != "selected":
            changes |= {"lanes": 1, "samples": None}
    if options.signed is not None:
        changes |= {"signed": (options.signed,)}
    changes |= _chosen(options, MACRO_SIZES)
    macro = dataclasses.replace(macro, **changes)
    sizes = _chosen(options, SIZES)
    banks = sizes.get("banks", spec.banks)
    most = min(2 * banks, macro.columns)
    lanes = {"requant_lanes": max(1, min(spec.requant_lanes, most))}
    return dataclasses.replace(
        spec, macro=macro, exact=options.exact or spec.exact, **lanes | sizes
    )


def _chosen(options: SetupOptions, names: tuple[str, ...]) -> dict[str, Any]:
    """The options with these names that are on the command line."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}
