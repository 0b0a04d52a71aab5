"""Several devices opened and closed together."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Self

from dscim.host.device import Device


class Pool:
    """Devices of one spec, each for a share of the work.

    A context manager that closes its devices, and so ends what they still do.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = tuple(devices)

    @classmethod
    def open(cls, count: int, opener: Callable[[], Device]) -> Self:
        """`count` devices that `opener` opens one after the other: the first builds what the
        others then find in the cache."""
        with ExitStack() as stack:
            devices = [stack.enter_context(opener()) for _ in range(count)]
            stack.pop_all()
        return cls(devices)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every device; what runs there ends with an error."""
        with ExitStack() as stack:
            for device in self.devices:
                stack.callback(device.close)
