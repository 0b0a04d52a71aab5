"""Trains a structure from scratch with several seeds, quantises it and calibrates it for DS-CIM."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from dscim.gateware.specs import ProductSpec
from dscim.host.network import file_hash, save
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.prune.export import save_onnx, save_torch
from dscim.host.research.prune.fitness import emulated, integers
from dscim.host.research.prune.images import load
from dscim.host.research.prune.learn import from_scratch
from dscim.host.research.prune.plain import PlainNet
from dscim.host.research.prune.space import Space, Structure
from dscim.host.research.training import together
from dscim.host.research.training.images import Split
from dscim.host.research.training.loop import Callbacks
from dscim.host.research.training.recipe import Recipe

CALIBRATION = 256
"""Training images that determine ranges, scales and shifts."""


@dataclass(frozen=True)
class Retraining:
    """A structure to retrain on all training images; accuracies are those on the test images.

    test: only the first `test` test images are used. product: arithmetic that the network is
    calibrated for. readers: processes that read image files in advance.
    """

    where: Space
    structure: Structure
    dataset: str
    folder: Path | None
    pixels: Input
    recipe: Recipe
    seeds: Sequence[int]
    test: int
    product: ProductSpec
    readers: int = 0

    def run(self, output: Path, callbacks: Callbacks) -> dict[str, Any]:
        """Trains, or resumes; accuracies, 0 to 1, of each seed and of the first seed's integers.

        output: NAME.npz, the network for `product`. The same folder gets NAME-int8.npz for the
        exact product, NAME.pt2 and NAME.onnx with the float network, and the checkpoints
        NAME-seed1.pt ... Returns {} in all but the first of several processes.
        """
        data = load(self.dataset, self.folder, self.where)
        parts = Split(
            data.images, data.labels, data.test_images[: self.test], data.test_labels[: self.test]
        )
        floats, first = [], None
        for seed in self.seeds:
            checkpoint = output.with_name(f"{output.stem}-seed{seed}.pt")
            net, right = from_scratch(
                self.where,
                self.structure,
                parts,
                dataclasses.replace(self.recipe, seed=seed),
                self.pixels,
                checkpoint,
                callbacks,
                self.readers,
            )
            callbacks.say(
                f"seed {seed}: {100 * right:.2f} % of {len(parts.held_labels)} test "
                f"images of {data.name}"
            )
            floats.append(right)
            first = first or net
        assert first is not None
        if together.rank():  # the first process writes for all
            return {}
        result = {
            "dataset": data.name,
            "test_images": len(parts.held_labels),
            "seeds": list(self.seeds),
            "float": floats,
            "mean": mean(floats),
            "deviation": stdev(floats) if len(floats) > 1 else 0.0,
        }
        return result | self._integers(first, parts, data.classes, output)

    def _integers(
        self, net: PlainNet, parts: Split, classes: tuple[str, ...], output: Path
    ) -> dict[str, Any]:
        """Writes the integer networks and the float network; the accuracies of the former."""
        accuracies = {}
        facts = {
            "pruned": {
                "space": self.where.name,
                "dataset": self.dataset,
                "encoding": list(self.where.encode(self.structure)),
            }
        }
        exact = dataclasses.replace(self.product, exact=True, activation_shift=0)
        for name, path, product in (
            ("int8", output.with_name(f"{output.stem}-int8.npz"), exact),
            ("dscim", output, self.product),
        ):
            network = integers(net, self.pixels, parts.images[:CALIBRATION], product, path.stem)
            network = dataclasses.replace(
                network, classes=classes, provenance=network.provenance | facts
            )
            save(network, path)
            accuracies[name] = emulated(network, self.pixels, parts.held_images, parts.held_labels)
        save_torch(net, output.with_suffix(".pt2"))
        save_onnx(net, output.with_suffix(".onnx"))
        return accuracies | {"product": self.product.to_json(), "network_sha256": file_hash(output)}
