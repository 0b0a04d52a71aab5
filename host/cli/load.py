"""`dscim load`: a built bitstream into a board, and a look at what answers then."""

import argparse
import shlex
from pathlib import Path

from dscim.boards import find_board
from dscim.files import check_writable, save_json
from dscim.gateware.specs import SocSpec
from dscim.host.cli.options import add_report, report_of
from dscim.host.device.target import open_target
from dscim.host.fpga.bitstream.load import built, command, find_loader, load


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim load`."""
    parser.add_argument("board", metavar="BOARD", help="a name of `dscim boards`")
    parser.add_argument(
        "--input", type=Path, metavar="FOLDER", help="of `dscim build` (default build/BOARD)"
    )
    parser.add_argument(
        "--flash",
        action="store_true",
        help="into the flash, to stay; else into the FPGA until power-off",
    )
    parser.add_argument(
        "--cable",
        metavar="NAME",
        help="a JTAG cable as openFPGALoader calls it, instead of the board's",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the command and end")
    parser.add_argument(
        "--target",
        metavar="T",
        help="read the identifier and spec hash afterwards, as uart:/dev/ttyUSB0@1000000",
    )
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Loads; exit status 0 only when openFPGALoader and the device, if asked, say that it holds."""
    check_writable(options.json)
    report = report_of(options)
    board = find_board(options.board)
    folder = options.input or Path("build") / board.name
    facts = built(folder, board)
    words = command(
        find_loader().path,
        board,
        folder / facts["bitstream"],
        flash=options.flash,
        cable=options.cable,
    )
    report.say(shlex.join(words))
    result = {"command": words, "spec_hash": facts["spec_hash"], "loaded": False, "answered": False}
    if not options.dry_run:
        load(words)
        result["loaded"] = True
        report.say(f"Loaded: {board.title}, spec {facts['spec_hash']}.")
        if options.target:
            open_target(options.target, SocSpec.from_json(facts["spec"])).close()
            result["answered"] = True
            report.say(
                f"{options.target} answers as a dscim device of the spec {facts['spec_hash']}."
            )
        else:
            report.say(
                f"Is it right? dscim selftest --target uart:PORT@{facts['baud']} --build {folder}"
            )
    save_json(options.json, result)
    return 0
