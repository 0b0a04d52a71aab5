"""Several devices as one: the images of a layer are split among them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock
from typing import Protocol, Self

import numpy as np

from dscim.gateware.specs import LayerSpec, SocSpec
from dscim.host.device import Counters, Device, Int8, LayerParameters, LayerRun, Progress


class RunsLayers(Protocol):
    """What can run a layer: a Device, or a Pool of them."""

    spec: SocSpec

    def run_layer(self, layer: LayerSpec, parameters: LayerParameters, x: Int8,
                  progress: Progress | None = None, *, depth: int | None = None,
                  raw: bool = False) -> LayerRun:
        """See `dscim.host.device.Device.run_layer`."""


class Pool:
    """Devices of one spec that share the images of each layer; the counters add up.

    A context manager that closes its devices, and so ends what they still do.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        """devices: one or more, all built from the same spec; the pool closes them."""
        self.spec = devices[0].spec
        self._devices = devices
        self._threads = ThreadPoolExecutor(len(devices))

    @classmethod
    def open(cls, count: int, opener: Callable[[], Device]) -> Self:
        """A pool of `count` devices that `opener` opens one after the other: the first builds
        what the others then find in the cache."""
        with ExitStack() as stack:
            devices = [stack.enter_context(opener()) for _ in range(count)]
            stack.pop_all()
        return cls(devices)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every device; a layer that runs ends with an error."""
        with ExitStack() as stack:
            stack.callback(self._threads.shutdown, cancel_futures=True)
            for device in self._devices:
                stack.callback(device.close)

    def run_layer(self, layer: LayerSpec, parameters: LayerParameters, x: Int8,
                  progress: Progress | None = None, *, depth: int | None = None,
                  raw: bool = False) -> LayerRun:
        """See `dscim.host.device.Device.run_layer`; progress counts the images of all devices."""
        shares = [share for share in np.array_split(x, len(self._devices)) if len(share)]
        step = _together(progress, len(x))
        futures: list[Future[LayerRun]] = [
            self._threads.submit(device.run_layer, layer, parameters, share, step,
                                 depth=depth, raw=raw)
            for device, share in zip(self._devices, shares, strict=False)]
        runs = [future.result() for future in futures]
        return LayerRun(np.concatenate([run.outputs for run in runs]),
                        sum((run.counters for run in runs), Counters()))


def _together(progress: Progress | None, total: int) -> Progress:
    """A step for every device that counts the images of all of them."""
    lock = Lock()
    finished = 0

    def step(_done: int, _total: int) -> None:
        nonlocal finished
        with lock:
            finished += 1
            if progress:
                progress(finished, total)
    return step
