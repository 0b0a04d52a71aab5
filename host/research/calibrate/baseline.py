"""The network before calibration: its exact tensors, and which nodes read them."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.arrays import Floats, Int8
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.emulator import over_images
from dscim.host.network import INPUT, Evaluator, Network, Node, Weighted
from dscim.host.network.evaluate import BATCH
from dscim.host.network.node import Kind
from dscim.host.network.weighted import STRETCHES
from dscim.host.research.calibrate.graph import Rescaling, families, has_relu, real_factor
from dscim.host.research.calibrate.layer import GLANCE, Task
from dscim.host.research.calibrate.lengths import lengthened
from dscim.host.research.calibrate.samples import Places, products, sample, windows_at
from dscim.host.research.calibrate.scale import layer_noise


class Baseline:
    """A network before calibration, with the tensors that it computes exactly for some images.

    layers: by name, each in the arithmetic that it will have. exact: by name, every tensor (N, H,
    W, C) int8, including the input. passing: see `families`.
    """

    def __init__(
        self, network: Network, images: Int8, spec: ProductSpec, seed: int, cycles: int | None
    ) -> None:
        """Computes the tensors.

        spec: the arithmetic of every layer, apart from the layer's own stretch. seed: of the
        sampled pixels. cycles: a budget per image, within which the layers' streams are stretched
        first; None: they are not.
        """
        self.network, self.spec, self._seed = network, spec, seed
        self._exact_spec = dataclasses.replace(spec, exact=True, activation_shift=0)
        evaluator = Evaluator(network, self._exact_spec)
        parts = over_images(lambda part: evaluator.nodes(images[part]), len(images), BATCH)
        self.exact = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.exact[INPUT] = images
        self.passing = families(network)
        self.layers = {node.name: layer for node, layer in network.layers(spec)}
        if cycles is not None:
            self.network = lengthened(network, spec, cycles, self._noises())
            self.layers = {node.name: layer for node, layer in self.network.layers(spec)}

    def product(self, node: Weighted) -> ProductSpec:
        """The layer's arithmetic without its activation shift."""
        return dataclasses.replace(self.layers[node.name].product, activation_shift=0)

    def readers(self, members: set[str], kind: type[Kind]) -> list[Kind]:
        """The nodes of `kind`, other than `members`, that read the output of a member."""
        return [
            node
            for node in self.network.nodes_of(kind)
            if members & set(node.inputs) and node.name not in members
        ]

    def glanced(self, readers: list[Weighted]) -> int:
        """How many images give GLANCE pixels of each of these layers; at most all images."""
        least = min(
            (int(np.prod(self.layers[reader.name].output[:2])) for reader in readers), default=1
        )
        return min(len(self.exact[INPUT]), -(-GLANCE // least))

    def between(self, first: str, last: str) -> list[Node]:
        """The nodes on the path from the tensor `first` to the tensor `last`."""
        path: list[Node] = []
        known = {node.name: node for node in self.network.nodes}
        while last != first:
            path.insert(0, known[last])
            last = known[last].inputs[0]
        return path

    def places(self, node: Weighted, count: int, images: int) -> Places:
        """A sample of at most `count` output pixels of the first `images` images."""
        return sample(count, self.layers[node.name], images, self._seed)

    def aim(self, node: Weighted, places: Places) -> tuple[Floats, Floats | None, Floats]:
        """The exact output at `places` before rounding, the ReLU's floor, and the gain."""
        layer = self.layers[node.name]
        unit = real_factor(node.multiplier, node.shift).astype(np.float32)
        before = windows_at(self.exact[node.inputs[0]], layer, places)
        sums = products(before, layer, node.weights, self._exact_spec)
        sums = sums + node.bias.astype(np.float32)
        return sums * unit, np.zeros((1, 1), np.float32) if has_relu(node) else None, unit

    def _noises(self) -> dict[str, npt.NDArray[np.float64]]:
        """By layer: its noise on exact inputs at each stream length, (lengths,)."""
        found = {}
        for node, layer in self.network.layers(self.spec):
            places = self.places(node, GLANCE, len(self.exact[INPUT]))
            x = windows_at(self.exact[node.inputs[0]], layer, places)
            lengths = [
                self.spec.length << step
                for step in range(len(STRETCHES))
                if self.spec.length << step <= self.spec.longest
            ]
            aim = self.aim(node, places)
            found[node.name] = np.array(
                [
                    layer_noise(
                        Task(node, layer, dataclasses.replace(self.spec, length=length), x, *aim),
                        x,
                        Rescaling(1.0, layer.input_zero),
                    )
                    for length in lengths
                ]
            )
        return found
