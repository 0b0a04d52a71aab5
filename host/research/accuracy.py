"""The accuracy of a network in every arithmetic: as it is, calibrated, and fine-tuned."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SpecError, table_sequence
from dscim.host.network import Evaluator, Network, file_hash, load, predictions
from dscim.host.research.calibrate import calibrate

ARITHMETICS = tuple(
    ProductSpec(or_width, length)
    for or_width, lengths in ((16, (64, 128, 256, 1024)), (64, (64, 128, 256)))
    for length in lengths
)
"""DS-CIM1 and DS-CIM2 at the lengths of the table."""


def arithmetics(table: str | None) -> list[ProductSpec]:
    """ARITHMETICS, with the sequence table `table`, if any, instead of the counter."""
    if table is None:
        return list(ARITHMETICS)
    sequence = table_sequence(table)
    return [dataclasses.replace(one, sequence=sequence) for one in ARITHMETICS]


def accuracy(network: Network, arithmetic: ProductSpec, images: Int8, labels: Int64) -> float:
    """The share, 0 to 1, of images (N, H, W, C) int8 whose prediction is their label (N,)."""
    chosen = predictions(Evaluator(network, arithmetic).outputs(images))
    return float((chosen == labels).mean())


@dataclasses.dataclass(frozen=True)
class Table:
    """Computes the rows of a network's table.

    tuned: files of networks fine-tuned from it. train: inputs for calibration, (N, H, W, C) int8.
    images, labels: test inputs (N, H, W, C) int8 and classes (N,). known: rows of an earlier run on
    the same network and inputs, by arithmetic.
    """

    network: Network
    tuned: list[Path]
    train: Int8
    images: Int8
    labels: Int64
    known: dict[ProductSpec, dict[str, Any]]

    def exact(self) -> dict[str, Any]:
        """The row of the exact product."""
        return self._row(
            dataclasses.replace(self.network.arithmetic, exact=True, activation_shift=0)
        )

    def row(self, arithmetic: ProductSpec) -> dict[str, Any]:
        """The row of a stochastic product, accuracies 0 to 1."""
        row = self._row(arithmetic)
        if "calibrated" not in row:
            ready = calibrate(self.network, self.train, arithmetic)
            row["calibrated"] = accuracy(ready, arithmetic, self.images, self.labels)
        for path in self.tuned:
            other, digest = load(path), file_hash(path)
            if other.arithmetic == arithmetic and row.get("fine_tuned_sha256") != digest:
                row |= {
                    "fine_tuned": accuracy(other, arithmetic, self.images, self.labels),
                    "fine_tuned_file": path.name,
                    "fine_tuned_sha256": digest,
                }
        return row

    def _row(self, arithmetic: ProductSpec) -> dict[str, Any]:
        """The known row, else one with the accuracy of the network as it is."""
        known = self.known.get(arithmetic)
        return (
            dict(known)
            if known
            else {
                "settings": arithmetic.to_json(),
                "as_is": accuracy(self.network, arithmetic, self.images, self.labels),
            }
        )


def digest(*arrays: npt.NDArray[np.generic]) -> str:
    """One SHA-256 over the bytes of all arrays, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def known_rows(path: Path | None, facts: dict[str, Any]) -> dict[ProductSpec, dict[str, Any]]:
    """The rows in `path` by arithmetic, if its other values equal `facts`, else none.

    UserError if it is not such a table.
    """
    if path is None or not path.exists():
        return {}
    try:
        earlier = json.loads(path.read_text())
        if any(earlier.get(name) != value for name, value in facts.items()):
            return {}
        return {ProductSpec.from_json(row["settings"]): row for row in earlier["rows"]}
    except (ValueError, TypeError, LookupError, AttributeError, SpecError) as error:
        raise UserError(
            f"'{path}' is not a table to resume from; remove it or choose another file."
        ) from error
