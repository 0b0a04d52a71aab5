"""`dscim boards`: lists the boards that the SoC can be built for, and the finished builds."""

import dataclasses
from typing import Any

from dscim.boards import board_names, find_board
from dscim.boards.board import Board
from dscim.files import save_json
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command
from dscim.host.fpga.bitstream.reports import COLUMNS, read_reports, row


def run(options: ReportOptions) -> int:
    """Prints the table: one line per board and device."""
    report = report_of(options)
    boards = [find_board(name) for name in board_names()]
    report.table(
        [
            "board",
            "device",
            ">LUT",
            ">block RAM",
            "macro",
            ">lanes",
            ">MHz",
            "links",
            "unused memory",
            "builds",
        ],
        [_row(board, device) for board in boards for device in board.devices],
    )
    built = read_reports()
    if built:
        report.say("Finished builds (boards/reports/BOARD.json has the command of each):")
        report.table(COLUMNS, [row(facts) for facts in built])
    for board in boards:
        if board.notes:
            report.say(f"{board.name}: {board.notes}")
    save_json(options.json, [_facts(board) for board in boards])
    return 0


def _row(board: Board, device: str) -> tuple[str, ...]:
    part = board.parts[device]
    links = f"uart @{board.baud}" + (", Ethernet" if board.ethernet else "")
    macro = board.spec[device].macro
    return (
        board.name,
        device,
        f"{part.lut4}",
        f"{part.block_ram}",
        f"{macro.rows} x {macro.columns} {macro.form}",
        f"{macro.lanes}",
        f"{board.clock / 1e6:g}",
        links,
        board.memory,
        "bitstream" if board.built else "sources",
    )


def _facts(board: Board) -> dict[str, Any]:
    return {
        "board": board.name,
        "title": board.title,
        "links": ["uart", "ethernet"] if board.ethernet else ["uart"],
        "memory": board.memory,
        "clock": board.clock,
        "baud": board.baud,
        "built": board.built,
        "notes": board.notes,
        "devices": {
            device: {
                "part": dataclasses.asdict(board.parts[device]),
                "spec": board.spec[device].to_json(),
                "spec_hash": f"{board.spec[device].hash:08x}",
            }
            for device in board.devices
        },
    }


COMMAND = Command(ReportOptions, run, "boards")
