"""Chains as long as the memory, and rejected descriptors; on `ref` and simulated."""

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.descriptor import FIELDS, pack
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import SocSpec
from dscim.host.compile.descriptors import Bases, vector_fields
from dscim.host.device.target import open_target
from dscim.host.golden.twin.rejection import rejection
from dscim.host.network import Network, Requantise
from tests import nodes
from tests.chains import Chain, send
from tests.small_devices import TARGETS, arithmetics, device

__all__ = ["device"]  # a fixture


def shifted(first: int, then: int, by: int) -> dict[str, int]:
    """A pixel of 8 channels at row `first`, plus `by`, to word `then`."""
    node = Requantise("a", ("b",), by, 1.0, input_zero=0, multiplier=1 << 30, shift=1)
    return vector_fields(node, (1, 1, 8), Bases(first, then))


def test_as_many_descriptors_as_there_is_room_for(device):
    """255 of them add one to a pixel in place; the last subtracts three."""
    x = np.arange(-128, -120, dtype=np.int8).reshape(1, 1, 8)
    device.write_tensor(7, x)
    fields = [shifted(7, 7, 1)] * (device.spec.descriptors - 1) + [shifted(7, 7, -3)]
    words = np.array([pack(f) for f in fields], np.uint32).ravel()
    device._write_memory("descriptors", words)
    device.start(0, len(fields))
    np.testing.assert_array_equal(device.read_tensor(7, x.shape), np.full(x.shape, 124))


def test_a_refused_descriptor_stops_the_chain(device):
    x = np.arange(8, dtype=np.int8).reshape(1, 1, 8)
    for base, tensor in enumerate((x, 0 * x, 0 * x)):
        device.write_tensor(base, tensor)
    good = [shifted(0, 1, 5), shifted(0, 2, 9)]
    words = [pack(fields) for fields in (good[0], good[0] | {"units": 2}, good[1])]
    device._write_memory("descriptors", np.array(words, np.uint32).ravel())
    with pytest.raises(UserError, match=r"refused descriptor 1: .*does not fit the operation"):
        device.start(0, 3)
    np.testing.assert_array_equal(device.read_tensor(1, x.shape), x + 5)
    np.testing.assert_array_equal(device.read_tensor(2, x.shape), 0 * x)
    device.start(2, 1)
    np.testing.assert_array_equal(device.read_tensor(2, x.shape), x + 9)


def some_descriptors(rng: np.random.Generator, spec: SocSpec) -> list[dict[str, int]]:
    """An add, two pools and a depthwise tile that the device can run."""
    shape, zero = (4, 4, 10), 5
    chains = [
        Chain(
            spec,
            Network("single", shape, 1.0, zero, tuple(nodes.single(rng, kind, shape, zero))),
            arithmetics(spec)[0],
        )
        for kind in ("add", "pool", "mean", "depthwise")
    ]
    return [chain.descriptors[-1] for chain in chains]


@pytest.mark.parametrize("target", ("narrow", "wide"))
def test_wrong_operations_are_refused_as_by_the_twin(target):
    """One or two fields changed, often to their limits."""
    rng = np.random.default_rng(14)
    large = ("output_height", "output_width", "kernel_height", "kernel_width")
    seen = set()
    with open_target(*TARGETS[target]) as device:
        good = some_descriptors(rng, device.spec)
        for _ in range(800):
            fields = dict(good[rng.integers(len(good))])
            for place in rng.integers(len(FIELDS), size=rng.integers(1, 3)):
                limits = FIELDS[place].limits
                edges = (0, 1, min(2, limits[-1]), min(8, limits[-1]), limits[-1], limits[0])
                fields[FIELDS[place].name] = int(rng.choice(edges))
            expected = rejection(device.spec, fields)
            if expected is ErrorCode.NONE and max(fields[name] for name in large) > 64:
                continue
            assert send(device, fields) == expected, fields
            seen.add(expected)
    assert seen >= {
        ErrorCode.NONE,
        ErrorCode.OPERATION,
        ErrorCode.GEOMETRY,
        ErrorCode.SCALING,
        ErrorCode.INPUT_MEMORY,
        ErrorCode.OUTPUT_MEMORY,
    }
