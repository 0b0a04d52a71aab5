"""Hypothesis strategies for small networks of every kind of node.

    @given(networks(), st.integers(0, 2**16))
    def test_something(network, seed):
        images = random_images(network, 2, seed)

The graph is drawn: kinds, shapes, strides, paddings, zero points, clamps. Weights and scales come
from a generator with a drawn seed, so that outputs fill the range of int8.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dscim.gateware.specs import ProductSpec
from dscim.host.network import (
    INPUT,
    Add,
    AveragePool,
    Combine,
    Concat,
    Conv,
    Depthwise,
    Extreme,
    IntegerSoftmax,
    LogSoftmax,
    Lookup,
    MaxPool,
    Mean,
    Network,
    Node,
    Pad,
    Requantise,
    Reshape,
    Select,
    Shape,
    Softmax,
    Sum,
    Transpose,
)
from dscim.host.network.scaling import (
    add_factors,
    integer_softmax_table,
    mean_factors,
    quantise_multiplier,
    softmax_table,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

ZEROS = st.one_of(st.just(-128), st.integers(-128, 127))
"""Zero points: often that of a ReLU's output, but also any other."""

SCALE = 2.0**-4
"""Every scale is within a factor of two of this one."""


class Grower:
    """A network as it grows by one node at a time.

    draw: of a composite strategy. generator: makes arrays. side, channels: their limits.
    """

    def __init__(
        self, draw: Draw, generator: np.random.Generator, shape: Shape, zero: int, channels: int
    ) -> None:
        self.draw, self.generator, self.channels = draw, generator, channels
        self.nodes: list[Node] = []
        self.known = {INPUT: (shape, zero, SCALE)}

    def grow(self, kind: str) -> None:
        """Adds a node of this kind if it fits."""
        given = self.draw(st.sampled_from(list(self.known)))
        node = getattr(self, f"_{kind.lower()}")(f"{kind.lower()}{len(self.nodes)}", given)
        if node is not None:
            self.nodes.append(node)
            shapes = [self.known[name][0] for name in node.inputs]
            self.known[node.name] = (node.output_shape(shapes), node.output_zero, node.output_scale)

    def _common(self, name: str, *given: str) -> dict[str, Any]:
        """Fields of a node with its own output scale and zero point."""
        zero = self.draw(ZEROS)
        clamp = self.draw(
            st.sampled_from([(-128, 127), (zero, 127), (max(-128, zero - 40), min(127, zero + 70))])
        )
        return {
            "name": name,
            "inputs": given,
            "output_zero": zero,
            "clamp": clamp,
            "output_scale": SCALE * float(self.generator.uniform(0.5, 2)),
        }

    def _kept(self, name: str, given: str) -> dict[str, Any]:
        """Fields of a node that keeps its input's scale and zero point."""
        _, zero, scale = self.known[given]
        return {"name": name, "inputs": (given,), "output_zero": zero, "output_scale": scale}

    def _window(self, shape: Shape, largest: int = 3) -> dict[str, Any]:
        """Kernel, stride and padding that fit `shape`; no window holds padding only."""
        kernel, stride, padding = [], [], []
        for size in shape[:2]:
            pads = self.draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
            kernel.append(self.draw(st.integers(1, min(largest, size + sum(pads)))))
            padding.append(tuple(min(pad, kernel[-1] - 1) for pad in pads))
            stride.append(self.draw(st.integers(1, 2)))
        kernel = [
            min(k, size + sum(pad)) for k, size, pad in zip(kernel, shape, padding, strict=False)
        ]
        return {"kernel": tuple(kernel), "stride": tuple(stride), "padding": tuple(padding)}

    def _arrays(self, shape: tuple[int, ...], outputs: int, depth: int) -> dict[str, Any]:
        """Weights, and a requantisation with which the sums of `depth` products fill int8."""
        weights = self.generator.integers(-128, 128, shape)
        spread = 60 * 70 * depth**0.5
        real = 60 / spread * self.generator.uniform(0.5, 1.5, outputs)
        multiplier, shift = quantise_multiplier(real)
        return {
            "weights": weights.astype(np.int8),
            "multiplier": multiplier,
            "shift": shift,
            "single_rounding": self.draw(st.booleans()),
            "bias": self.generator.normal(0, spread, outputs).astype(np.int32),
        }

    def _conv(self, name: str, given: str) -> Node:
        shape, zero, _ = self.known[given]
        window = self._window(shape)
        high, wide = window.pop("kernel")
        outputs = self.draw(st.integers(1, self.channels))
        return Conv(
            **self._common(name, given),
            **window,
            input_zero=zero,
            **self._arrays((outputs, high, wide, shape[2]), outputs, high * wide * shape[2]),
            activation_shift=self.draw(st.integers(0, 3)),
        )

    def _dense(self, name: str, given: str) -> Node:
        shape, zero, _ = self.known[given]
        outputs = self.draw(st.integers(1, self.channels))
        return Conv(
            **self._common(name, given),
            input_zero=zero,
            **self._arrays((outputs, *shape), outputs, shape[0] * shape[1] * shape[2]),
            activation_shift=self.draw(st.integers(0, 3)),
        )

    def _depthwise(self, name: str, given: str) -> Node | None:
        shape, zero, _ = self.known[given]
        each = self.draw(st.integers(1, 2))
        if shape[2] * each > self.channels:
            return None
        window = self._window(shape)
        high, wide = window.pop("kernel")
        return Depthwise(
            **self._common(name, given),
            **window,
            input_zero=zero,
            **self._arrays((high, wide, shape[2] * each), shape[2] * each, high * wide),
            activation_shift=self.draw(st.integers(0, 3)),
        )

    def _add(self, name: str, given: str) -> Node:
        if self.nodes and self.draw(st.booleans()):  # often of a node without readers
            given = self.nodes[-1].name
        shape, zero, scale = self.known[given]
        other = self.draw(
            st.sampled_from([key for key, value in self.known.items() if value[0] == shape])
        )
        common = self._common(name, given, other)
        multipliers, shifts = add_factors(scale, self.known[other][2], common["output_scale"])
        return Add(
            **common,
            input_zeros=(zero, self.known[other][1]),
            multipliers=multipliers,
            shifts=shifts,
        )

    def _averagepool(self, name: str, given: str) -> Node:
        return AveragePool(**self._kept(name, given), **self._window(self.known[given][0]))

    def _maxpool(self, name: str, given: str) -> Node:
        return MaxPool(**self._kept(name, given), **self._window(self.known[given][0]))

    def _mean(self, name: str, given: str) -> Node:
        (height, width, _), zero, scale = self.known[given]
        common = self._common(name, given)
        multiplier, shift = mean_factors(scale / common["output_scale"], height * width)
        return Mean(
            **common,
            input_zero=zero,
            multiplier=multiplier,
            shift=shift,
            single_rounding=self.draw(st.booleans()),
        )

    def _pad(self, name: str, given: str) -> Node:
        sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
        return Pad(**self._kept(name, given), padding=(self.draw(sides), self.draw(sides)))

    def _requantise(self, name: str, given: str) -> Node:
        _, zero, scale = self.known[given]
        common = self._common(name, given)
        multiplier, shift = quantise_multiplier([scale / common["output_scale"]])
        return Requantise(
            **common,
            input_zero=zero,
            multiplier=int(multiplier[0]),
            shift=int(shift[0]),
            single_rounding=self.draw(st.booleans()),
        )

    def _reshape(self, name: str, given: str) -> Node | None:
        height, width, channels = self.known[given][0]
        shape = self.draw(
            st.sampled_from(
                [
                    (1, 1, height * width * channels),
                    (width, height, channels),
                    (1, height, width * channels),
                ]
            )
        )
        if shape[2] > self.channels:
            return None
        return Reshape(**self._kept(name, given), shape=shape)

    def _table(self, *shape: int) -> np.ndarray:
        """A random table of int8."""
        return self.generator.integers(-128, 128, shape).astype(np.int8)

    def _other(self, shape: Shape) -> str:
        """A tensor whose shape broadcasts with `shape`."""
        fits = [
            key
            for key, (known, _, _) in self.known.items()
            if all(a == b or 1 in (a, b) for a, b in zip(known, shape, strict=True))
        ]
        return self.draw(st.sampled_from(fits))

    def _integersoftmax(self, name: str, given: str) -> Node:
        table = integer_softmax_table(self.known[given][2])
        return IntegerSoftmax(name, (given,), -128, 1 / 256, table=table)

    def _logsoftmax(self, name: str, given: str) -> Node:
        scale = self.known[given][2]
        table = softmax_table(scale)
        return LogSoftmax(name, (given,), 127, 1 / 16, table=table, input_scale=scale)

    def _lookup(self, name: str, given: str) -> Node:
        shape = [self.draw(st.sampled_from([1, size])) for size in self.known[given][0]]
        rows = self.draw(st.integers(1, 4))
        which = self.generator.integers(0, rows, shape).astype(np.uint8)
        return Lookup(
            **self._common(name, given), function="f", table=self._table(rows, 256), which=which
        )

    def _combine(self, name: str, given: str) -> Node:
        other = self._other(self.known[given][0])
        return Combine(
            **self._common(name, given, other), function="f", table=self._table(256, 256)
        )

    def _concat(self, name: str, given: str) -> Node | None:
        shape = self.known[given][0]
        axis = self.draw(st.integers(0, 2))
        fits = [
            key
            for key, (known, _, _) in self.known.items()
            if all(i == axis or known[i] == shape[i] for i in range(3))
        ]
        others = self.draw(st.lists(st.sampled_from(fits), max_size=2))
        total = shape[axis] + sum(self.known[other][0][axis] for other in others)
        if total > (self.channels if axis == 2 else 12):
            return None
        common = self._common(name, given, *others)
        return Concat(**common, axis=axis, tables=self._table(1 + len(others), 256))

    def _select(self, name: str, given: str) -> Node:
        places = [
            np.array(
                self.draw(st.lists(st.integers(-1, size - 1), min_size=1, max_size=4)), np.int32
            )
            for size in self.known[given][0]
        ]
        return Select(
            **self._kept(name, given), rows=places[0], columns=places[1], channels=places[2]
        )

    def _transpose(self, name: str, given: str) -> Node | None:
        sizes = self.known[given][0]
        order = self.draw(st.permutations(range(3)))
        shape = tuple(sizes[axis] for axis in order)
        if shape[2] > self.channels:
            return None
        return Transpose(**self._kept(name, given), sizes=sizes, order=tuple(order), shape=shape)

    def _axes(self) -> tuple[int, ...]:
        return tuple(self.draw(st.lists(st.integers(0, 2), unique=True, max_size=3)))

    def _extreme(self, name: str, given: str) -> Node:
        return Extreme(**self._kept(name, given), axes=self._axes(), least=self.draw(st.booleans()))

    def _sum(self, name: str, given: str) -> Node:
        shape, zero, scale = self.known[given]
        common, axes = self._common(name, given), self._axes()
        count = float(np.prod([shape[axis] for axis in axes]))
        real = scale / common["output_scale"] / count
        multiplier, shift = quantise_multiplier([real])
        return Sum(
            **common,
            axes=axes,
            input_zero=zero,
            multiplier=int(multiplier[0]),
            shift=int(shift[0]),
            single_rounding=self.draw(st.booleans()),
        )

    def _softmax(self, name: str, given: str) -> Node:
        table = softmax_table(self.known[given][2])
        return Softmax(name, (given,), -128, 1 / 256, table=table)


KINDS = (
    "Conv",
    "Dense",
    "Depthwise",
    "Add",
    "AveragePool",
    "MaxPool",
    "Mean",
    "Pad",
    "Requantise",
    "Reshape",
    "IntegerSoftmax",
    "LogSoftmax",
    "Lookup",
    "Combine",
    "Concat",
    "Select",
    "Transpose",
    "Extreme",
    "Sum",
)
"""The kinds of nodes in networks(); Dense is a Conv as large as its input."""

SPLIT = st.builds(ProductSpec, st.sampled_from([16, 64]), st.sampled_from([64, 128, 256]))
"""Arithmetics that every kind of node supports."""


@st.composite
def networks(
    draw: Draw,
    arithmetic: st.SearchStrategy[ProductSpec] = SPLIT,
    kinds: tuple[str, ...] = KINDS,
    max_nodes: int = 6,
    side: int = 6,
    channels: int = 8,
    softmax: bool = True,
) -> Network:
    """A strategy for valid networks with 1 to max_nodes nodes of `kinds`, plus perhaps a softmax.

    side: the largest input height and width. channels: the most channels of a tensor.
    """
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = draw(
        st.tuples(st.integers(1, side), st.integers(1, side), st.integers(1, min(4, channels)))
    )
    zero = draw(ZEROS)
    grower = Grower(draw, generator, shape, zero, channels)
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=max_nodes)):
        grower.grow(kind)
    if not grower.nodes:
        grower.grow(kinds[0] if kinds[0] != "Depthwise" else "Conv")
    if softmax and draw(st.booleans()):
        grower.grow("Softmax")
    return Network("random", shape, SCALE, zero, tuple(grower.nodes), arithmetic=draw(arithmetic))


def random_images(network: Network, count: int, seed: int) -> np.ndarray:
    """(count, H, W, C) int8 for the network: random values, a fifth of them extreme."""
    generator = np.random.default_rng(seed)
    shape = (count, *network.shape)
    values = generator.integers(-128, 128, shape)
    ends = generator.choice([-128, 127, network.zero], shape)
    return np.where(generator.random(shape) < 0.2, ends, values).astype(np.int8)
