"""The cost table: cycles of every operation over the widths of its input and output.

A structure's cycles are the sum of its operations' entries. The file is JSON, so that a table
measured on another device can be used instead.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product as pairs
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.errors import UserError
from dscim.files import save_json
from dscim.gateware.specs import ProductSpec, SocSpec, SpecError
from dscim.host.research.prune.minimum import minimum
from dscim.host.research.prune.onchip import cycles
from dscim.host.research.prune.operations import Operation, operations, resized
from dscim.host.research.prune.space import RATIOS, Space, Structure

FORMAT = "dscim cost table"


@dataclass(frozen=True, eq=False)
class Entry:
    """An operation's cycles over the widths that they depend on.

    places: indices of these widths in the space, one or two. cycles: int64, an axis of length 31
    for each of them, or 1 where the width is fixed.
    """

    name: str
    places: tuple[int, ...]
    cycles: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CostTable:
    """Cycles of every operation of a space on a device.

    spec, product: the device, and the arithmetic of all its products.
    """

    space: str
    spec: SocSpec
    product: ProductSpec
    entries: tuple[Entry, ...]

    def total(self, where: Space, structure: Structure) -> int:
        """Cycles per image of a structure of the space `where`."""
        ids = [0 if width.gene is None else structure[width.gene] for width in where.widths]
        return sum(
            int(entry.cycles[tuple(ids[place] for place in entry.places)]) for entry in self.entries
        )

    def cheapest(self, where: Space) -> tuple[int, Structure]:
        """The minimum cycles of any structure, and a structure that takes them.

        Exact, by elimination gene by gene: more channels do not always take more cycles.
        """
        return minimum(
            [
                (tuple(where.widths[place].gene for place in entry.places), entry.cycles)
                for entry in self.entries
            ],
            where.genes,
        )

    def save(self, path: Path) -> None:
        """Writes the file atomically."""
        save_json(
            path,
            {
                "format": FORMAT,
                "space": self.space,
                "spec": self.spec.to_json(),
                "product": self.product.to_json(),
                "entries": [
                    {"name": entry.name, "places": entry.places, "cycles": entry.cycles.tolist()}
                    for entry in self.entries
                ],
            },
        )


def build(
    where: Space,
    spec: SocSpec,
    product: ProductSpec,
    step: Callable[[str, int, int], None] = lambda *_: None,
) -> CostTable:
    """The table of a space from the engine's cycle model; step reports progress.

    UserError names the first operation that the device cannot run.
    """
    entries = []
    full = operations(where, where.full)
    for each in full:  # reports an operation that cannot run before the long part
        cycles(spec, replace(each, layer=replace(each.layer, product=product)))
    for done, each in enumerate(full):
        step("operations", done, len(full))
        entries.append(_entry(where, each, spec, product))
    return CostTable(where.name, spec, product, tuple(entries))


def _entry(where: Space, each: Operation, spec: SocSpec, product: ProductSpec) -> Entry:
    """An operation at all widths."""
    each = replace(each, layer=replace(each.layer, product=product))
    widths = [where.widths[place] for place in each.places]
    sizes = [
        [width.channels(k) for k in range(RATIOS)] if width.gene is not None else [width.base]
        for width in widths
    ]
    values = [cycles(spec, resized(each, channels)) for channels in pairs(*sizes)]
    return Entry(
        each.name, each.places, np.array(values, np.int64).reshape([len(size) for size in sizes])
    )


def load(path: Path, where: Space) -> CostTable:
    """Reads the table of a space; UserError if the file is not one."""
    try:
        data = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read: {error}.") from error
    except ValueError as error:
        raise UserError(f"'{path}' is not a cost table: {error}.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(
            f"'{path}' is not a cost table: its format is not {FORMAT!r}; build one with "
            "`dscim prune table`."
        )
    if data.get("space") != where.name:
        raise UserError(
            f"'{path}' is the cost table of {data.get('space')!r}, not of "
            f"{where.name!r}; build it with --space {where.name}."
        )
    try:
        return CostTable(
            where.name,
            SocSpec.from_json(data["spec"]),
            ProductSpec.from_json(data["product"]),
            tuple(_read(item, where) for item in data["entries"]),
        )
    except (LookupError, TypeError, ValueError, SpecError) as error:
        raise UserError(f"'{path}' is a damaged cost table: {error}; build it again.") from error


def _read(item: dict[str, Any], where: Space) -> Entry:
    """An entry of the file; ValueError if its axes are not those of its widths."""
    places = tuple(int(place) for place in item["places"])
    values = np.array(item["cycles"], np.int64)
    axes = tuple(1 if where.widths[place].gene is None else RATIOS for place in places)
    if values.shape != axes or (values < 0).any():
        raise ValueError(
            f"the cycles of {item['name']!r} have the shape {values.shape}, not {axes}, or are "
            "negative"
        )
    return Entry(str(item["name"]), places, values)
