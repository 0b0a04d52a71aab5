"""The cycle model agrees with the simulator's counters, to the cycle."""

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.compile.cycles import add_cycles, pool_cycles, product_cycles
from dscim.host.device import Device
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.network import INPUT, AveragePool, MaxPool, Network, Node
from tests import nodes
from tests.small_devices import MEDIUM, NARROW, WIDE, arithmetics

ARRAY = SocSpec(
    MacroSpec(rows=32, columns=8, form="array", lanes=8),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=64,
    requant_lanes=8,
)
BROAD = SocSpec(
    MacroSpec(rows=16, columns=64, lanes=4),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=16,
    requant_lanes=1,
)
SPARSE = SocSpec(
    MacroSpec(rows=64, columns=8, or_width=64, lanes=1, sequence=SequenceSpec("lfsr")),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=32,
    requant_lanes=8,
)


def layer_of(
    kind: str,
    shape: tuple[int, int, int],
    outputs: int,
    kernel: int,
    stride: int,
    product: ProductSpec,
) -> LayerSpec:
    """The geometry of a layer; a pool's and a depthwise one's outputs are its inputs."""
    pad = (kernel // 2 if kernel % 2 else 0,) * 2
    return LayerSpec(
        shape,
        outputs if kind == "conv" else shape[2],
        (kernel,) * 2,
        (stride,) * 2,
        (pad, pad) if kind in ("conv", "depthwise", "max") else ((0, 0), (0, 0)),
        product=product,
        depthwise=kind != "conv",
    )


def node_of(kind: str, layer: LayerSpec, rng: np.random.Generator) -> Node:
    """A node of that geometry, of random integers."""
    window = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
    if kind == "conv":
        return nodes.conv(rng, "last", INPUT, layer.input, 0, layer.outputs, window=window)
    if kind == "depthwise":
        return nodes.depthwise(rng, "last", INPUT, layer.input, 0, window=window)
    if kind == "add":
        return nodes.add(rng, "last", (INPUT, INPUT), (0, 0))
    if kind == "mean":
        return nodes.mean(rng, "last", INPUT, layer.input, 0)
    return (MaxPool if kind == "max" else AveragePool)("last", (INPUT,), 0, 1.0, **window)


def counted(device: Device, kind: str, layer: LayerSpec, rng: np.random.Generator) -> int:
    """Busy cycles of the layer on the device, as part of a network."""
    network = Network("single", layer.input, 1.0, 0, (node_of(kind, layer, rng),))
    image = nodes.random_image(rng, layer.input)
    run = NetworkRun([device], network, layer.product, image[None], compare=True)
    list(run.execute(lambda *_: None))
    assert run.holds
    return run.layers[0].counters.cycles_busy


def predicted(spec: SocSpec, kind: str, layer: LayerSpec) -> int:
    if kind == "add":
        return add_cycles(spec, layer)
    if kind in ("conv", "depthwise"):
        return product_cycles(spec, layer)
    return pool_cycles(spec, layer, averages=kind == "average")


CASES = [
    ("conv", (1, 1, 8), 8, 1, 1, 256),
    ("conv", (8, 8, 8), 33, 1, 1, 256),
    ("conv", (8, 8, 129), 20, 1, 1, 256),
    ("conv", (32, 32, 3), 7, 3, 1, 256),
    ("conv", (8, 8, 12), 16, 3, 1, 256),
    ("conv", (32, 32, 3), 16, 3, 1, 256),
    ("conv", (16, 17, 1), 8, 3, 2, 256),
    ("conv", (8, 8, 5), 8, 1, 1, 64),
    ("conv", (8, 8, 60), 60, 3, 2, 256),
    ("conv", (8, 8, 64), 16, 1, 1, 128),
    ("depthwise", (8, 8, 5), 5, 3, 1, 256),
    ("depthwise", (8, 8, 37), 37, 3, 1, 256),
    ("depthwise", (32, 32, 16), 16, 3, 2, 256),
    ("add", (8, 8, 13), 13, 1, 1, 256),
    ("add", (32, 32, 16), 16, 1, 1, 256),
    ("mean", (7, 7, 61), 61, 7, 1, 256),
    ("max", (16, 16, 21), 21, 3, 2, 256),
    ("average", (7, 7, 61), 61, 7, 1, 256),
]
"""kind, input, outputs, kernel, stride, stream length."""


@pytest.fixture(scope="module", name="medium")
def _medium():
    with open_target("sim", MEDIUM) as device:
        yield device


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]} {case[2]}")
def test_a_medium_device(medium: Device, case: tuple) -> None:
    """Also where the input is laid out by rows of windows (`dscim.host.compile.rows`)."""
    kind, shape, outputs, kernel, stride, length = case
    layer = layer_of(kind, shape, outputs, kernel, stride, ProductSpec(length=length))
    cycles = counted(medium, kind, layer, np.random.default_rng(1))
    network = Network(
        "single", layer.input, 1.0, 0, (node_of(kind, layer, np.random.default_rng(1)),)
    )
    assert cycles == network_speed(network, layer.product, medium.spec).cycles
    if shape[2] > 1:
        assert cycles == predicted(medium.spec, kind, layer)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [SocSpec(), NARROW, WIDE, ARRAY, SPARSE, BROAD],
    ids=["default", "narrow", "wide", "array", "sparse", "broad"],
)
def test_random_layers_on_every_form_of_macro(spec: SocSpec) -> None:
    rng = np.random.default_rng(7)
    stochastic = ProductSpec(spec.macro.or_width, 4 * spec.macro.or_width, spec.macro.sequence)
    wrong = []
    with open_target("sim", spec) as device:
        for _ in range(60):
            kind = str(rng.choice(["conv", "conv", "depthwise", "add", "mean", "max", "average"]))
            side = int(rng.integers(1, 9))
            shape = (side, side, int(rng.integers(1, 40)))
            windows = {"mean": [side], "average": [side], "add": [1]}.get(kind, [1, 2, 3])
            kernel = int(rng.choice([size for size in windows if size <= side]))
            product = stochastic if rng.random() < 0.7 else arithmetics(spec)[1]
            stride = int(rng.integers(1, 3)) if kind in ("conv", "depthwise", "max") else 1
            layer = layer_of(kind, shape, int(rng.integers(1, 50)), kernel, stride, product)
            pair = counted(device, kind, layer, rng), predicted(spec, kind, layer)
            if pair[0] != pair[1]:
                wrong.append((kind, layer.input, layer.outputs, layer.kernel, product.exact, pair))
    assert not wrong, wrong


def test_a_layer_deeper_than_the_weight_memory_is_refused() -> None:
    layer = LayerSpec((7, 7, 512), 512, (3, 3), padding=((1, 1), (1, 1)))
    with pytest.raises(UserError, match="4608"):
        product_cycles(SocSpec(), layer)
