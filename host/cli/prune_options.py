"""Options that several steps of `dscim prune` share."""

import argparse

from dscim.host.prune import SPACES, Space, Structure


def add_space(parser: argparse.ArgumentParser) -> None:
    """Adds --space."""
    parser.add_argument("--space", required=True, metavar="NAME", help=", ".join(SPACES))


def add_structure(parser: argparse.ArgumentParser) -> None:
    """Adds --encoding."""
    parser.add_argument("--encoding", required=True, type=numbers, metavar="ID,ID,...",
                        help="ratio ids, 0..30 each, the ratio is (10 + 3 ID) %%; mobilenet-v2: "
                             "18 outputs, then 17 middles; FULL: nothing is pruned")


def structure_of(options: argparse.Namespace, where: Space) -> Structure:
    """The structure that the options of `add_structure` name."""
    return where.full if options.encoding is None else where.decode(options.encoding)


def numbers(text: str) -> tuple[int, ...] | None:
    """Integers with commas between; None for FULL."""
    if text.upper() == "FULL":
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not whole numbers with commas between") from None
