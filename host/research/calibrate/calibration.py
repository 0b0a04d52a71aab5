"""Calibration node by node: each gets the actual outputs of the calibrated nodes before it."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dscim.arrays import Floats, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.host.golden.emulator import over_images, prepare
from dscim.host.network import INPUT, Add, Network, Node, Weighted, host_node
from dscim.host.network.evaluate import BATCH
from dscim.host.research.calibrate.baseline import Baseline
from dscim.host.research.calibrate.graph import (
    UNROUNDED,
    Rescaling,
    add_inputs,
    fixed_scale,
    has_relu,
    requantised,
    rescaled,
    rescaled_output,
)
from dscim.host.research.calibrate.layer import GLANCE, Chosen, Task, choose
from dscim.host.research.calibrate.samples import Places, windows_at
from dscim.host.research.calibrate.scale import Consumer, best_scale

PIXELS = 8192
"""Pixels of a layer from which its weights are chosen."""


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """The choices for a layer. snr: over the sampled pixels, in dB, after the ReLU."""

    name: str
    length: int
    activation_shift: int
    input_scale: float
    snr: float


class Calibration:
    """The state of a calibration: the tensors of both networks so far, and the new nodes."""

    def __init__(
        self,
        network: Network,
        images: Int8,
        spec: ProductSpec,
        seed: int,
        say: Callable[[LayerReport], None],
        cycles: int | None = None,
    ) -> None:
        """See `Baseline`; say: called with each layer's report."""
        self.baseline = Baseline(network, images, spec, seed, cycles)
        self.network, self.spec, self.say = self.baseline.network, spec, say
        self.layers, self.exact = self.baseline.layers, self.baseline.exact
        self.products = {node.name: node for node in self.network.nodes_of(Weighted)}
        self.now: dict[str, Int8] = {INPUT: images}
        self.scales = {INPUT: Rescaling(1.0, network.zero)}
        self.nodes: list[Node] = []
        self.reports: list[LayerReport] = []

    def run(self) -> Network:
        """The calibrated network."""
        for node in self.network.nodes:
            new: Node
            product = self.products.get(node.name)
            if product is not None:
                new = self._weighted(product)
            elif node.keeps_scale:
                self.scales[node.name] = self.scales[node.inputs[0]]
                new = rescaled(node, [], self.scales[node.name])
            else:
                new = self._plain(node)
            self.nodes.append(new)
            if product is None:
                self.now[node.name] = host_node(new, [self.now[name] for name in node.inputs])
        return dataclasses.replace(self.network, nodes=tuple(self.nodes), arithmetic=self.spec)

    def _weighted(self, node: Weighted) -> Weighted:
        """The node with its new integers; also computes its output."""
        source = self.scales[node.inputs[0]]
        layer = dataclasses.replace(self.layers[node.name], input_zero=source.zero)
        task = self._task(node, layer)
        chosen = choose(task)
        self._report(node, chosen, source)
        spec = dataclasses.replace(
            self.baseline.product(node), activation_shift=chosen.activation_shift
        )
        zeros = np.zeros(node.outputs, np.int32)
        sums = prepare(
            dataclasses.replace(layer, product=spec), chosen.weights, zeros, zeros, zeros
        )
        x = self.now[node.inputs[0]]
        values = np.concatenate(
            over_images(
                lambda part: (
                    sums.accumulate(x[part]).astype(np.float32) * chosen.gain + chosen.bias
                ),
                len(x),
                BATCH,
            )
        )
        to = self._scale(node, np.maximum(values, 0) if has_relu(node) else values)
        gain, bias = (array.astype(np.float64) * to.scale for array in (chosen.gain, chosen.bias))
        new = dataclasses.replace(
            node,
            weights=chosen.weights,
            activation_shift=chosen.activation_shift,
            input_zero=source.zero,
            **requantised(node, gain, bias),
            **rescaled_output(node, to),
        )
        made = prepare(
            new.layer(self.network.shapes()[node.inputs[0]], self.spec),
            new.weights,
            new.bias,
            new.multiplier,
            new.shift,
        )
        self.now[node.name] = np.concatenate(
            over_images(lambda part: made.run(x[part]), len(x), BATCH)
        )
        return new

    def _plain(self, node: Node) -> Node:
        """A node without weights, with a new scale of its output where that is possible."""
        scales = [self.scales[name] for name in node.inputs]
        unrounded = UNROUNDED[type(node)]
        inputs = [self.now[name] for name in node.inputs]
        to = self._scale(node, unrounded and unrounded(node, inputs, scales))
        return rescaled(node, scales, to)

    def _scale(self, node: Node, values: Floats | None) -> Rescaling:
        """The scale of a node's output; values: in steps of the network before calibration."""
        members = {node.name, *(passed.name for passed in self.baseline.passing[node.name])}
        zero = node.output_zero
        if values is None or fixed_scale(self.network, members):
            to = Rescaling(1.0, zero)
        else:
            zero = -128 if has_relu(node) else zero
            readers = self.baseline.readers(members, Weighted)
            images = self.baseline.glanced(readers)
            values = values[:images]
            layers = [self._consumer(reader, node, images) for reader in readers]
            summed = [
                self._share(reader, node, values) for reader in self.baseline.readers(members, Add)
            ]
            to = best_scale(values, zero, layers, summed) if layers else Rescaling(1.0, zero)
        self.scales[node.name] = to
        return to

    def _share(self, reader: Add, node: Node, values: Floats) -> float:
        """The power of `values` relative to that of the sum that reads them."""
        factor = (
            add_inputs(reader)[reader.inputs.index(node.name)]
            if node.name in reader.inputs
            else 0.0
        )
        total = max(float(self.exact[reader.name].astype(np.float32).var()), 1e-12)
        return factor**2 * float(values.var()) / total

    def _consumer(self, reader: Weighted, node: Node, images: int) -> Consumer:
        """A layer that reads `node`, directly or through nodes that pass its scale on."""
        places = self.baseline.places(reader, GLANCE, images)
        target, floor, unit = self.baseline.aim(reader, places)
        nothing = np.zeros((0, 1, 1, 1), np.int8)  # the windows depend on the scale
        task = Task(
            reader,
            self.layers[reader.name],
            self.baseline.product(reader),
            nothing,
            target,
            floor,
            unit,
        )
        between = self.baseline.between(node.name, reader.inputs[0])

        def windows(x: Int8, zero: int) -> Int8:
            for step in between:
                x = host_node(rescaled(step, [], Rescaling(1.0, zero)), [x])
            layer = dataclasses.replace(self.layers[reader.name], input_zero=zero)
            return windows_at(x, layer, places)

        return Consumer(task, windows)

    def _task(self, node: Weighted, layer: LayerSpec) -> Task:
        """The layer's task: the exact output, from the input that calibration has so far."""
        places = self.baseline.places(node, PIXELS, len(self.exact[INPUT]))
        target, floor, unit = self.baseline.aim(node, places)
        target, floor = self._with_the_sum(node, places, target, floor)
        x = windows_at(self.now[node.inputs[0]], layer, places)
        scale = np.float32(self.scales[node.inputs[0]].scale)
        return Task(node, layer, self.baseline.product(node), x, target, floor, unit / scale)

    def _with_the_sum(
        self, node: Weighted, places: Places, target: Floats, floor: Floats | None
    ) -> tuple[Floats, Floats | None]:
        """The target that also corrects the error of the other input of a sum, and its floor.

        This applies if one sum is the only reader of `node` and its other input is known. If that
        sum has a ReLU, values below it do not matter.
        """
        readers = self.baseline.readers({node.name}, Node)
        sums = self.baseline.readers({node.name}, Add)
        if floor is not None or len(readers) != 1 or not sums:
            return target, floor
        reader = sums[0]
        own = reader.inputs.index(node.name)
        other = reader.inputs[1 - own]
        factors = add_inputs(reader)
        if other not in self.now or other == node.name or not factors[own]:
            return target, floor
        scale = self.scales[other]
        ratio = np.float32(factors[1 - own] / factors[own])
        was = self.exact[other][places].astype(np.float32) - reader.input_zeros[1 - own]
        now = (self.now[other][places].astype(np.float32) - scale.zero) / np.float32(scale.scale)
        return target + ratio * (was - now), -ratio * now if has_relu(reader) else None

    def _report(self, node: Weighted, chosen: Chosen, source: Rescaling) -> None:
        snr = float(-10 * np.log10(max(chosen.noise, 1e-12)))
        length = self.baseline.product(node).length
        report = LayerReport(node.name, length, chosen.activation_shift, source.scale, snr)
        self.reports.append(report)
        self.say(report)
