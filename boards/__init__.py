"""Boards: one small file each, found by the name of its module."""

import difflib
import importlib
import pkgutil

from dscim.boards.board import Board
from dscim.gateware.specs.base import require

_NOT_BOARDS = {"board", "clocks", "memories", "parts", "sizes", "soc"}


def board_names() -> list[str]:
    """The names of all boards, sorted."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - _NOT_BOARDS)


def find_board(name: str) -> Board:
    """The board called `name`; SpecError with similar names if there is none."""
    names = board_names()
    near = difflib.get_close_matches(name, names, 3, 0.4) or names
    require(
        name in names,
        f"Board {name!r} is unknown; did you mean {' or '.join(near)}? `dscim boards` prints all.",
    )
    board: Board = importlib.import_module(f"dscim.boards.{name}").BOARD
    return board
