"""Runs a planned network on one device, image by image."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dscim.arrays import Int8
from dscim.host.compile import Action, Compute, Load, Program, Read, Run, Write
from dscim.host.compile.rows import rows_of
from dscim.host.device import Device
from dscim.host.device.controller import Counters
from dscim.host.golden.reference import requantise
from dscim.host.network import INPUT, Node, Weighted, host_node

Done = Callable[[Node, "ImageRun"], None]
"""Called when a node is done, with the node and the state of the image."""


@dataclasses.dataclass
class ImageRun:
    """The state of an image during its run.

    tensors: by name, each (H, W, C) int8: INPUT, those read from the device and those computed on
    the host. counters: by node, for all nodes that are done, including the bytes transferred.
    """

    tensors: dict[str, Int8]
    counters: dict[str, Counters] = dataclasses.field(default_factory=dict)


class Executor:
    """Carries out a program on a device; loaded weights stay there for the next image."""

    def __init__(self, device: Device, program: Program) -> None:
        self.device, self.program = device, program
        self._shapes = program.network.shapes()
        self._loaded: Load | None = None

    def run(self, image: Int8, done: Done) -> ImageRun:
        """Runs the network on an image (H, W, C) int8; calls done(node, state) after each node."""
        state = ImageRun({INPUT: image})
        for stage in self.program.stages:
            state.counters[stage.node.name] = Counters()
            for action in stage.actions:
                self._carry_out(stage.node, action, state)
            state.counters[stage.node.name] += self.device.counted()
            done(stage.node, state)
        return state

    def _carry_out(self, node: Node, action: Action, state: ImageRun) -> None:
        tensors = state.tensors
        if isinstance(action, Load):
            if not (self.program.resident and self._loaded is action):
                self.device.load(action.weights, action.parameters, action.descriptors)
                self._loaded = action
        elif isinstance(action, Write):
            rows = tensors[action.tensor][action.first : action.last]
            if action.rows_for is not None:
                rows = rows_of(rows, action.rows_for)
            self.device.write_tensor(action.base, rows.reshape(action.shape or rows.shape))
        elif isinstance(action, Run):
            if action.aside:
                state.counters[node.name] += self._run_aside(action)
            else:
                self.device.start(action.first, action.count)
        elif isinstance(action, Read):
            self._read(action, tensors)
        elif isinstance(action, Compute):
            inputs = [tensors[name][None] for name in node.inputs]
            tensors[node.name] = host_node(node, inputs)[0]
        else:
            before = self.device.counted()
            state.counters[node.name] += before + self._multiply(action.node, tensors)

    def _run_aside(self, action: Run) -> Counters:
        """Runs descriptors outside the network; counts the bytes, but not the device's cycles."""
        before = self.device.counted()
        self.device.start(action.first, action.count)
        aside = self.device.counted()
        return before + Counters(bytes_written=aside.bytes_written, bytes_read=aside.bytes_read)

    def _read(self, action: Read, tensors: dict[str, Int8]) -> None:
        shape = self._shapes[action.tensor]
        tensor = tensors.setdefault(action.tensor, np.zeros(shape, np.int8))
        rows = (action.last - action.first, *shape[1:])
        tensor[action.first : action.last] = self.device.read_tensor(action.base, rows)

    def _multiply(self, node: Weighted, tensors: dict[str, Int8]) -> Counters:
        """Runs a convolution as products of its unrolled windows."""
        layer = node.layer(self._shapes[node.inputs[0]], self.program.arithmetic)
        run = self.device.multiply_windows(layer, node.weights, tensors[node.inputs[0]][None])
        sums = run.values.reshape(layer.output) + node.bias
        tensors[node.name] = requantise(
            sums, node.multiplier, node.shift, layer.output_zero, layer.clamp, layer.single_rounding
        )
        return run.counters
