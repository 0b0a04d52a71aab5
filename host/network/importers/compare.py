"""An imported network against the runtime that its file was made for, node by node."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dscim.arrays import Int8
from dscim.errors import UserError
from dscim.host.network import Evaluator, check_images
from dscim.host.network.evaluate import BATCH
from dscim.host.network.importers.draft import Imported
from dscim.host.network.importers.runtimes import runtime


@dataclass
class Compared:
    """A node's outputs on the runtime's own inputs: how many, how many differ, by how much."""

    name: str
    outputs: int = 0
    differing: int = 0
    greatest: int = 0

    def to_json(self) -> dict[str, Any]:
        """As an object of the report."""
        return {
            "name": self.name,
            "outputs": self.outputs,
            "differing": self.differing,
            "greatest": self.greatest,
        }


def compare(
    data: bytes, imported: Imported, images: Int8, step: Callable[[int, int], None]
) -> list[Compared]:
    """Every node that the runtime has integers of; the last entry is the network end to end.

    data: the file. images: (N, H, W, C) int8, the network's own. step: called with the images
    done and all images. A node is given what the runtime has, so one difference counts once.
    """
    network = imported.network
    images = check_images(network, images)
    evaluator = Evaluator(network)
    results: dict[str, Compared] = {}
    whole, last, done = Compared("end to end"), network.nodes[-1].name, 0
    running = runtime(imported)(data, imported, images)
    while batch := list(islice(running, BATCH)):
        theirs = {name: np.stack([each[name] for each in batch]) for name in batch[0]}
        ours = evaluator.nodes(images[done : done + len(batch)])
        for node in network.nodes:
            made = evaluator.node(node, [theirs[name] for name in node.inputs])
            if node.name in theirs:
                _count(results.setdefault(node.name, Compared(node.name)), made, theirs[node.name])
            else:
                theirs[node.name] = made
        _count(whole, ours[last], theirs[last])
        done += len(batch)
        step(done, len(images))
    if not done:
        raise UserError("no images were given: a comparison needs at least one.")
    return [*results.values(), whole]


def _count(result: Compared, ours: Int8, theirs: Int8) -> None:
    off = np.abs(ours.astype(np.int16) - theirs)
    result.outputs += off.size
    result.differing += int(np.count_nonzero(off))
    result.greatest = max(result.greatest, int(off.max()))
