"""Compares an imported network, node by node, with the runtime that its file was made for.

The runtime runs in a child process. Nodes without integers in the runtime are left out.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dscim.arrays import Int8
from dscim.errors import UserError
from dscim.host.network import Evaluator, check_images
from dscim.host.network.importers.child import SECONDS, answers
from dscim.host.network.importers.draft import Imported
from dscim.progress import Tick


@dataclass
class Compared:
    """The outputs of a node for the runtime's own inputs.

    outputs: how many were compared. differing: how many differ. greatest: the greatest difference.
    """

    name: str
    outputs: int = 0
    differing: int = 0
    greatest: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


def compare(
    data: bytes,
    imported: Imported,
    images: Int8,
    step: Tick,
    *,
    seconds: float = SECONDS,
    warn: Callable[[str], None] = lambda sentence: None,
) -> list[Compared]:
    """One entry per node for which the runtime has integers; the last is the network end to end.

    data: the bytes of the file. images: (N, H, W, C) int8, the network's input. step: called with
    the images done and all images. seconds, warn: see `answers`. Every node takes the runtime's
    inputs, so a difference counts only once. UserError if the runtime cannot run the file.
    """
    network = imported.network
    images = check_images(network, images)
    if not len(images):
        raise UserError("a comparison needs at least one image.")
    evaluator = Evaluator(network)
    results: dict[str, Compared] = {}
    whole, last, done = Compared("end to end"), network.nodes[-1].name, 0
    for theirs in answers(data, imported, images, seconds, warn):
        count = len(next(iter(theirs.values())))
        ours = evaluator.nodes(images[done : done + count])
        for node in network.nodes:
            made = evaluator.node(node, [theirs[name] for name in node.inputs])
            if node.name in theirs:
                _count(results.setdefault(node.name, Compared(node.name)), made, theirs[node.name])
            else:
                theirs[node.name] = made
        _count(whole, ours[last], theirs[last])
        done += count
        step(done, len(images))
    return [*results.values(), whole]


def _count(result: Compared, ours: Int8, theirs: Int8) -> None:
    off = np.abs(ours.astype(np.int16) - theirs)
    result.outputs += off.size
    result.differing += int(np.count_nonzero(off))
    result.greatest = max(result.greatest, int(off.max()))
