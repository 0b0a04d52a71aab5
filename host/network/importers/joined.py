"""Several outputs of a file as one output of a network: behind each other, as channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dscim.errors import UserError
from dscim.host.network import INPUT, Concat
from dscim.host.network.importers.draft import Draft
from dscim.host.network.importers.integers import VALUES
from dscim.host.network.importers.views import product, reshaped

PLACE = "the network's output"


def join_outputs(draft: Draft, names: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """The node that holds the tensors `names`, and the parts of its channels.

    With one tensor, that one, and no parts. Each part has the first and the last channel, the
    shape, the scale and the zero point of a tensor; the integers are the tensors' own.
    """
    if len(names) == 1:
        return names[0], []
    if INPUT in names:
        raise UserError("one of the file's outputs is its input; leave it out.")
    parts: list[dict[str, Any]] = []
    flat, first = [], 0
    for position, name in enumerate(names):
        count = product(draft.shapes[name])
        quantity = draft.quantities[name]
        parts.append(
            {
                "first": first,
                "last": first + count - 1,
                "shape": list(draft.shapes[name]),
                "scale": quantity.scale,
                "zero": quantity.zero,
            }
        )
        flat.append(reshaped(draft, f"output_{position}", name, (1, 1, count), PLACE))
        first += count
    quantity = draft.quantities[names[0]]
    tables = np.tile(VALUES.astype(np.int8), (len(flat), 1))
    node = Concat("outputs", tuple(flat), quantity.zero, quantity.scale, axis=2, tables=tables)
    return draft.add(node, (1, 1, first), None, PLACE), parts


def said(tensors: Sequence[str], parts: list[dict[str, Any]]) -> str:
    """The sentence on several outputs; tensors: their names in the file."""
    places = ", ".join(
        f"{name!r} {part['first']}..{part['last']}"
        for name, part in zip(tensors, parts, strict=True)
    )
    return (
        f"The file has {len(tensors)} outputs; the network gives them behind each other, as "
        f"channels: {places}."
    )
