"""Inferences for the runner, and the clock of its timestamps."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from dscim.arrays import Int8
from dscim.gateware.specs import ProductSpec
from dscim.host.compile import plan
from dscim.host.device import Device
from dscim.host.device.controller import Counters
from dscim.host.device.run.executor import Executor
from dscim.host.network import Evaluator, Network

Alive = Callable[[], None]
"""Called now and then during an inference."""


class Inference(Protocol):
    """A network that is ready to run.

    clock: whose time `microseconds` is, in a few words.
    """

    network: Network
    clock: str

    def run(self, images: Int8, alive: Alive) -> Int8:
        """The network's outputs, (N, H, W, C) int8, for images (N, H, W, C) int8."""

    def microseconds(self) -> int:
        """The time on the clock; it never goes back."""

    def remark(self) -> str:
        """What else is known of the inferences so far, or an empty text."""


class HostInference:
    """The emulator on the host, with the host's time."""

    clock = "the host's time"

    def __init__(self, network: Network, arithmetic: ProductSpec) -> None:
        self.network = network
        self._evaluator = Evaluator(network, arithmetic)

    def run(self, images: Int8, alive: Alive) -> Int8:
        """See Inference."""
        return self._evaluator.outputs(images, lambda done, total: alive())

    def microseconds(self) -> int:
        """See Inference."""
        return time.monotonic_ns() // 1000

    def remark(self) -> str:
        """See Inference."""
        return ""


class DeviceInference:
    """A device, with its own time: its cycles, busy or not, divided by its clock frequency.

    frequency: in Hz; a simulator's is a choice, because its time has no unit.
    UserError if the network does not fit the device.
    """

    def __init__(
        self, device: Device, network: Network, arithmetic: ProductSpec, frequency: float
    ) -> None:
        self.network = network
        self.clock = f"the device's cycles at {frequency / 1e6:g} MHz"
        self._device, self._frequency = device, frequency
        self._executor = Executor(device, plan(network, arithmetic, device.spec, watched=False))
        self._cycles = self._busy = self._inferences = 0
        device.counted()

    def run(self, images: Int8, alive: Alive) -> Int8:
        """See Inference. The weights stay on the device, if they fit."""
        last = self.network.nodes[-1].name
        outputs = []
        for image in images:
            state = self._executor.run(image, lambda node, state: alive())
            self._add(sum(state.counters.values(), Counters()))
            self._inferences += 1
            outputs.append(state.tensors[last])
        return np.stack(outputs)

    def microseconds(self) -> int:
        """See Inference."""
        self._add(self._device.counted())
        return int(1e6 * self._cycles / self._frequency)

    def remark(self) -> str:
        """See Inference: the cycles in which the engine was busy."""
        if not self._inferences:
            return ""
        return f"The engine was busy for {self._busy // self._inferences} cycles per inference"

    def _add(self, counted: Counters) -> None:
        self._cycles += counted.cycles_busy + counted.cycles_link
        self._busy += counted.cycles_busy
