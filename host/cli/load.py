"""`dscim load`: loads a built bitstream into a board, and checks the device that answers."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from dscim.boards import find_board
from dscim.files import save_json
from dscim.gateware.specs import SocSpec
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, argument, option, switch
from dscim.host.device.target import open_target
from dscim.host.fpga.bitstream.load import built, command, find_loader, load


@dataclass(frozen=True, kw_only=True)
class Options(ReportOptions):
    """The options of `dscim load`."""

    board: str = argument("BOARD", "name of a board of `dscim boards`")
    input: Path | None = option("FOLDER", "folder of `dscim build` (default: build/BOARD)")
    flash: bool = switch(
        "write to the flash memory, which survives power-off, instead of the FPGA alone"
    )
    cable: str | None = option(
        "NAME", "openFPGALoader's name of the JTAG cable (default: the board's)"
    )
    dry_run: bool = switch("print the command and exit")
    target: str | None = option(
        "T",
        "afterwards, read the identifier and spec hash of this target, for example "
        "uart:/dev/ttyUSB0@1000000",
    )


def run(options: Options) -> int:
    """Loads; exit status 0 only when openFPGALoader succeeds and --target, if set, answers."""
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
            report.say(f"{options.target} is a dscim device with the spec {facts['spec_hash']}.")
        else:
            report.say(
                f"Test it: dscim selftest --target uart:PORT@{facts['baud']} --build {folder}"
            )
    save_json(options.json, result)
    return 0


COMMAND = Command(Options, run, "load colorlight_i5 --dry-run")
