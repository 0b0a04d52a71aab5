"""The inputs and results of MLPerf Tiny's benchmarks: bytes to a network's integers and back."""

from dataclasses import dataclass

import numpy as np

from dscim.arrays import Float64, Int8
from dscim.errors import UserError
from dscim.host.network import Network


@dataclass(frozen=True)
class Format:
    """How the runner sends the inputs of a benchmark.

    model: the benchmark, as the runner names it. title: what it does. kind: "pixels" (uint8, the
    network's integer plus 128), "int8" (the network's integers), or "windows" (float32,
    little-endian, one or more windows; the result is the mean squared error of an autoencoder).
    shape: the input of MLPerf's own network, (H, W, C).
    """

    model: str
    title: str
    kind: str
    shape: tuple[int, int, int]

    def size(self, network: Network) -> int:
        """Bytes of one input of `network`, of one window for windows."""
        return int(np.prod(network.shape)) * (4 if self.kind == "windows" else 1)

    def images(self, data: bytes, network: Network) -> Int8:
        """The network's input, (N, H, W, C) int8, in the bytes that the runner sent.

        N is 1 but for windows. UserError for another number of bytes, and for windows with numbers
        that are not finite.
        """
        size = self.size(network)
        fits = len(data) == size or (self.kind == "windows" and data and len(data) % size == 0)
        if not fits:
            more = " or a multiple" if self.kind == "windows" else ""
            raise UserError(f"The buffer has {len(data)} bytes, {self.model} takes {size}{more}")
        shape = (-1, *network.shape)
        if self.kind == "int8":
            return np.frombuffer(data, np.int8).reshape(shape)
        if self.kind == "pixels":
            return (np.frombuffer(data, np.uint8) ^ 0x80).view(np.int8).reshape(shape)
        reals = np.frombuffer(data, "<f4").astype(np.float64)
        if not np.isfinite(reals).all():
            raise UserError(f"The buffer has a number that is not finite, {self.model} takes none")
        whole = np.rint(reals / network.scale) + network.zero
        return np.clip(whole, -128, 127).astype(np.int8).reshape(shape)

    def results(self, data: bytes, outputs: Int8, network: Network) -> Float64:
        """The numbers of m-results, (n,), for the network's outputs (N, H, W, C) int8."""
        last = network.nodes[-1]
        real = (outputs.astype(np.float64) - last.output_zero) * last.output_scale
        if self.kind != "windows":
            return real.reshape(-1)
        sent = np.frombuffer(data, "<f4").astype(np.float64)
        return np.array([np.mean((real.reshape(-1) - sent) ** 2)])

    def check(self, network: Network) -> None:
        """UserError if the network cannot be measured with this benchmark."""
        outputs = network.shapes()[network.nodes[-1].name]
        if self.kind == "windows" and np.prod(outputs) != np.prod(network.shape):
            raise UserError(
                f"{self.model} needs an autoencoder, but {network.name!r} has the input "
                f"{network.shape} and the output {outputs}."
            )


FORMATS = {
    each.model: each
    for each in (
        Format("ic01", "image classification", "pixels", (32, 32, 3)),
        Format("kws01", "keyword spotting", "int8", (49, 10, 1)),
        Format("vww01", "person detection", "pixels", (96, 96, 3)),
        Format("ad01", "anomaly detection", "windows", (1, 1, 640)),
    )
}
"""The benchmarks by name."""


def format_for(network: Network, model: str | None) -> Format:
    """The benchmark `model`, else the one with the network's number of inputs.

    UserError if there is none, or if it does not suit the network.
    """
    size = np.prod(network.shape)
    found = [each for each in FORMATS.values() if np.prod(each.shape) == size]
    if model is None and not found:
        raise UserError(
            f"the network {network.name!r} has the input {network.shape}, which is that of no "
            f"benchmark; choose one with --model: {', '.join(FORMATS)}."
        )
    chosen = FORMATS[model] if model else found[0]
    chosen.check(network)
    return chosen
