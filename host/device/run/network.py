"""Runs a network on one or several devices and compares its layers with the reference."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Self

import numpy as np

from dscim.arrays import Int8
from dscim.gateware.specs import ProductSpec
from dscim.host.compile import Program, plan
from dscim.host.compile.parameters import LayerParameters
from dscim.host.device import Device
from dscim.host.device.controller import Counters
from dscim.host.device.run.difference import Difference, first_difference
from dscim.host.device.run.executor import Executor, ImageRun
from dscim.host.device.run.result import LayerResult
from dscim.host.network import Conv, Evaluator, Network, Node, check_images
from dscim.progress import Progress

Event = tuple[int, Node, ImageRun, float] | BaseException
"""A node is done: image, node, state of the image, seconds. Or the error of a device."""


class _Stopped(Exception):
    """Ends the thread of a device after the run has ended early."""


class NetworkRun:
    """A run of a network on devices that share the images; the host computes what they cannot.

    layers: the results, in order, of all nodes that at least one image has reached.
    outputs: those of the last node, (N, H, W, C); None before the end. end_to_end: whether they
    equal the emulator's own run of the whole network; None before the end.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        network: Network,
        arithmetic: ProductSpec,
        images: Int8,
        *,
        compare: bool = True,
    ) -> None:
        """Plans the run.

        devices: all of one spec. images: (N, H, W, C) int8, the network's own integers.
        compare: whether every node's output is read and compared with the reference, not only the
        last one's. Raises UserError for other images, and if the network does not fit the devices.
        """
        self.network, self.arithmetic = network, arithmetic
        self.images = check_images(network, images)
        self.program: Program = plan(network, arithmetic, devices[0].spec, watched=compare)
        self.total = len(network.nodes)
        self.outputs: Int8 | None = None
        self.end_to_end: bool | None = None
        self._devices = devices[: len(images)]
        self._reference = Evaluator(network, arithmetic)
        self._results = self._blank()
        self._finals: dict[int, Int8] = {}
        self._stopped = False

    @property
    def layers(self) -> list[LayerResult]:
        """The results of the nodes that at least one image has reached."""
        return [result for result in self._results.values() if result.images]

    def execute(self, step: Progress) -> Iterator[LayerResult]:
        """Runs all images; yields each node's result once every image has passed it.

        If it is not run to its end, the devices stop before their next node; closing them stops
        them at once.
        """
        self._stopped = False
        try:
            yield from self._execute(step)
        finally:
            self._stopped = True

    def _execute(self, step: Progress) -> Iterator[LayerResult]:
        events: SimpleQueue[Event] = SimpleQueue()
        threads = [
            Thread(target=self._work, args=(place, device, events), daemon=True)
            for place, device in enumerate(self._devices)
        ]
        for thread in threads:
            thread.start()
        wrong: dict[str, tuple[int, Int8]] = {}
        work = self.total * len(self.images)
        for count in range(work):
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            result = self._record(event, wrong)
            step(f"layers of {len(self.images)} images", count + 1, work)
            if result.images == len(self.images) and result.name not in wrong:
                yield result
        for thread in threads:
            thread.join()
        for name, (_, x) in wrong.items():
            self._results[name].first = self._locate(self._results[name], x)
            yield self._results[name]
        self._finish(step)

    @property
    def compared(self) -> int:
        """Number of layer outputs compared so far."""
        return sum(layer.compared for layer in self.layers)

    @property
    def differing(self) -> int:
        """Number of compared outputs that differ."""
        return sum(layer.differing for layer in self.layers)

    @property
    def counters(self) -> Counters:
        """The sum of all layers' counters."""
        return sum((layer.counters for layer in self.layers), Counters())

    @property
    def holds(self) -> bool:
        """Whether the run is complete and every output that was compared agrees."""
        return not self.differing and bool(self.end_to_end)

    def _blank(self) -> dict[str, LayerResult]:
        shapes, on_host = self.network.shapes(), self.program.on_host
        products = {add: product for product, add in self.program.added.items()}
        return {
            node.name: LayerResult(
                node,
                shapes[node.inputs[0]],
                shapes[node.name],
                node.name not in on_host,
                self.program.strips.get(node.name, 1),
                products.get(node.name, ""),
            )
            for node in self.network.nodes
        }

    def _work(self, place: int, device: Device, events: "SimpleQueue[Event]") -> None:
        """Runs a device's share of the images; reports every node when it is done."""
        try:
            executor = Executor(device, self.program)
            for image in range(place, len(self.images), len(self._devices)):
                self._run_image(executor, image, events)
        except BaseException as error:
            events.put(error)

    def _run_image(self, executor: Executor, image: int, events: "SimpleQueue[Event]") -> None:
        since = time.monotonic()

        def done(node: Node, state: ImageRun) -> None:
            nonlocal since
            events.put((image, node, state, time.monotonic() - since))
            since = time.monotonic()
            if self._stopped:
                raise _Stopped

        executor.run(self.images[image], done)

    def _record(
        self, event: tuple[int, Node, ImageRun, float], wrong: dict[str, tuple[int, Int8]]
    ) -> LayerResult:
        """Adds a node of an image to its result; records a first difference and its input."""
        image, node, state, seconds = event
        result = self._results[node.name]
        result.images += 1
        result.seconds += seconds
        result.counters += state.counters[node.name]
        if node is self.network.nodes[-1]:
            self._finals[image] = state.tensors[node.name]
        if self.program.watched and result.on_device:
            inputs = [state.tensors[name][None] for name in node.inputs]
            expected = self._reference.node(node, inputs)[0]
            output = state.tensors[node.name]
            result.compared += output.size
            places = np.argwhere(output != expected)
            result.differing += len(places)
            if len(places) and (node.name not in wrong or image < wrong[node.name][0]):
                y, column, channel = map(int, places[0])
                result.first = Difference(
                    image,
                    (y, column),
                    channel,
                    type(node).__name__,
                    int(output[y, column, channel]),
                    int(expected[y, column, channel]),
                )
                wrong[node.name] = image, inputs[0]
        return result

    def _locate(self, result: LayerResult, x: Int8) -> Difference | None:
        """The first difference of a convolution with its row tile; `x` is its input (1, H, W, C).

        Runs the layer again.
        """
        convolutions = {node.name: node for node in self.network.nodes_of(Conv)}
        node = convolutions.get(result.node.name)
        if node is None or result.first is None:
            return result.first
        layer = node.layer(result.input, self.arithmetic)
        parameters = LayerParameters(node.weights, node.bias, node.multiplier, node.shift)
        return first_difference(self._devices[0], layer, parameters, x, result.first)

    def _finish(self, step: Progress) -> None:
        """Compares the network's outputs with the emulator's run of the whole network."""
        outputs = np.stack([self._finals[image] for image in range(len(self.images))])
        whole = self._reference.outputs(
            self.images, lambda done, total: step("the whole network by the emulator", done, total)
        )
        differing = int((outputs != whole).sum())
        last = self._results[self.network.nodes[-1].name]
        if not last.compared:
            last.compared, last.differing = outputs.size, differing
        self.end_to_end = not differing
        self.outputs = outputs


class Pool:
    """Devices of one spec that share work; a context manager that closes them."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = tuple(devices)

    @classmethod
    def open(cls, count: int, opener: Callable[[], Device]) -> Self:
        """Calls `opener` for `count` devices one by one, because the first fills the cache for all.

        If one fails, closes those already open.
        """
        with ExitStack() as stack:
            devices = [stack.enter_context(opener()) for _ in range(count)]
            stack.pop_all()
        return cls(devices)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every device; anything still running there ends with an error."""
        with ExitStack() as stack:
            for device in self.devices:
                stack.callback(device.close)
