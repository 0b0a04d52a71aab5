"""The operations of a structure in order, with their sizes, and their MACs and parameters."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dscim.gateware.specs import LayerSpec
from dscim.host.research.prune.space import Block, Site, Space, Structure

Shape = tuple[int, int, int]


class Kind(enum.Enum):
    """What an operation does."""

    CONVOLUTION = "convolution"
    ADD = "add"
    MAX_POOL = "max pool"
    MEAN = "mean"
    CLASSIFIER = "classifier"


WITH_WEIGHTS = (Kind.CONVOLUTION, Kind.CLASSIFIER)


@dataclass(frozen=True)
class Operation:
    """An operation and its sizes.

    inputs: names of the operations whose outputs it takes; "input" is the image. layer: its
    geometry; an add is 1x1 depthwise, a pool depthwise with its window as kernel. places: indices,
    among the space's widths, of its input's channels and, if they may differ, its output's.
    activation: the one that follows, "relu", "relu6" or "". summed: the next operation adds the
    outputs of this convolution to another tensor; the engine adds them while they drain, so the
    cost of the addition is part of the convolution's.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    layer: LayerSpec
    places: tuple[int, ...]
    activation: str = ""
    summed: bool = False


def operations(space: Space, structure: Structure) -> tuple[Operation, ...]:
    """Every operation of a structure, in order."""
    found = _OperationList(space, structure)
    for block in space.blocks:
        found.block(block)
    return tuple(found.done)


class _OperationList:
    """Lists operations block by block; `_at` is the name and shape of the last output."""

    def __init__(self, space: Space, structure: Structure) -> None:
        self.done: list[Operation] = []
        self._channels = space.channels(structure)
        self._space = space
        self._at = "input", space.image

    def block(self, block: Block) -> None:
        """Adds a block's operations, and after the last block the end of the network."""
        start = self._at
        for site in block.path:
            self._convolution(site)
        if block.shortcut is not None:
            self._sum(block, start)
        if block.pool:
            self._pool(block.path[-1])
        if block is self._space.blocks[-1]:
            self._end()

    def _convolution(self, site: Site) -> None:
        name, shape = self._at
        places = (site.inputs,) if site.depthwise else (site.inputs, site.outputs)
        pad = (site.kernel // 2,) * 2
        self._add(
            site.name,
            Kind.CONVOLUTION,
            (name,),
            LayerSpec(
                shape,
                self._channels[site.outputs],
                (site.kernel,) * 2,
                (site.stride,) * 2,
                (pad, pad),
                depthwise=site.depthwise,
            ),
            places,
            site.activation,
        )

    def _sum(self, block: Block, start: tuple[str, Shape]) -> None:
        name, shape = self._at
        self._at = start
        for site in block.shortcut or ():
            self._convolution(site)
        self.done[-1] = replace(self.done[-1], summed=True)
        self._add(
            f"{block.path[0].name.rpartition('.')[0]}.add",
            Kind.ADD,
            (name, self._at[0]),
            LayerSpec(shape, shape[2], depthwise=True),
            (block.path[-1].outputs,),
            block.activation,
        )

    def _pool(self, site: Site) -> None:
        name, shape = self._at
        self._add(
            f"{site.name}.pool",
            Kind.MAX_POOL,
            (name,),
            LayerSpec(shape, shape[2], (3, 3), (2, 2), ((1, 1), (1, 1)), depthwise=True),
            (site.outputs,),
        )

    def _end(self) -> None:
        """The mean over the picture, and the classifier."""
        height, width, channels = self._at[1]
        places = (self._space.features,)
        self._add(
            "mean",
            Kind.MEAN,
            (self._at[0],),
            LayerSpec(self._at[1], channels, (height, width), depthwise=True),
            places,
        )
        self._add(
            "classifier",
            Kind.CLASSIFIER,
            ("mean",),
            LayerSpec((1, 1, channels), self._space.classes),
            places,
        )

    def _add(
        self,
        name: str,
        kind: Kind,
        inputs: tuple[str, ...],
        layer: LayerSpec,
        places: tuple[int, ...],
        activation: str = "",
    ) -> None:
        self.done.append(Operation(name, kind, inputs, layer, places, activation))
        self._at = name, layer.output


def resized(operation: Operation, channels: tuple[int, ...]) -> Operation:
    """The operation with other numbers of channels, one for each of its places."""
    layer = operation.layer
    outputs = layer.outputs if operation.kind is Kind.CLASSIFIER else channels[-1]
    return replace(
        operation, layer=replace(layer, input=(*layer.input[:2], channels[0]), outputs=outputs)
    )


def weights(layer: LayerSpec) -> int:
    """Weights of a layer."""
    return layer.depth * layer.outputs


def macs(operations: Iterable[Operation]) -> int:
    """Multiply-accumulates of the convolutions and the classifier, per image."""
    return sum(
        weights(each.layer) * each.layer.output[0] * each.layer.output[1]
        for each in operations
        if each.kind in WITH_WEIGHTS
    )


def parameters(operations: Iterable[Operation]) -> int:
    """Weights, factor and bias of each batch norm channel, biases of the classifier."""
    return sum(
        weights(each.layer) + each.layer.outputs * (2 if each.kind is Kind.CONVOLUTION else 1)
        for each in operations
        if each.kind in WITH_WEIGHTS
    )
