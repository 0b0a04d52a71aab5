"""Plans: random networks in memories of any size give the emulator's bits on `ref`."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.host.compile import Load, Multiply, Read, Write, plan
from dscim.host.compile.memories import Space
from dscim.host.device.run import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.network import INPUT, Add, Conv, Depthwise, Network
from tests.random_networks import networks, random_images
from tests.small_network import conv, small_images, small_network

ROOMY = SocSpec()
TIGHT = SocSpec(
    MacroSpec(rows=32, columns=8),
    activation_words=256,
    weight_rows=128,
    channels=16,
    strip=4,
    descriptors=4,
    banks=4,
    requant_lanes=8,
)
"""Several layers fit only in row strips and column groups."""

SHALLOW = dataclasses.replace(TIGHT, weight_rows=48, activation_words=1024, banks=16)
"""Most windows are deeper than its weight memory."""

LFSR = SequenceSpec("lfsr")
ORDERED = dataclasses.replace(
    TIGHT, macro=MacroSpec(rows=48, columns=4, lanes=1, sequence=LFSR), banks=2, requant_lanes=4
)
"""Its macro needs every row of a window at its place modulo G."""


def silent(_what: str, _done: int, _total: int) -> None:
    """No progress."""


def carried_out(
    network: Network, spec: SocSpec, arithmetic: ProductSpec, *, compare: bool, images: np.ndarray
) -> NetworkRun:
    """The run on `ref`, complete."""
    with open_target("ref", spec) as device:
        run = NetworkRun([device], network, arithmetic, images, compare=compare)
        list(run.execute(silent))
    return run


@pytest.mark.parametrize(
    "spec", [ROOMY, TIGHT, SHALLOW, ORDERED], ids=["roomy", "tight", "shallow", "ordered"]
)
@given(
    networks(),
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from((ProductSpec(), ProductSpec(exact=True), ProductSpec(length=64))),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_network_gives_the_emulators_bits(spec, network, compare, seed, arithmetic):
    arithmetic = dataclasses.replace(arithmetic, sequence=spec.macro.sequence)
    run = carried_out(
        network, spec, arithmetic, compare=compare, images=random_images(network, 2, seed)
    )
    assert run.holds
    on_device = [layer for layer in run.layers if layer.on_device]
    if compare:
        assert all(layer.compared == 2 * np.prod(layer.output) for layer in on_device)


@pytest.fixture(scope="module")
def simulated():
    """A small device in Verilator, shared by all networks of this file."""
    with open_target("sim", TIGHT) as device:
        yield device


@given(
    networks(),
    st.integers(0, 99),
    st.sampled_from((ProductSpec(), ProductSpec(exact=True), ProductSpec(length=64))),
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_every_network_gives_the_same_bits_in_the_simulator(simulated, network, seed, arithmetic):
    run = NetworkRun([simulated], network, arithmetic, random_images(network, 1, seed))
    list(run.execute(silent))
    assert run.holds


def test_a_network_that_fits_stays_on_the_device():
    program = plan(small_network(), ProductSpec(), ROOMY)
    moved = [action for action in program.actions if isinstance(action, Read | Write)]
    assert [type(action) for action in moved] == [Write, Read]
    assert (moved[0].tensor, moved[1].tensor) == (INPUT, "classifier")
    assert program.resident and not program.on_host and not program.strips
    assert isinstance(next(program.actions), Load)


def test_weights_are_sent_once_for_all_images():
    network = small_network()
    one = carried_out(network, ROOMY, ProductSpec(), compare=False, images=small_images(1))
    four = carried_out(network, ROOMY, ProductSpec(), compare=False, images=small_images(4))
    load = next(one.program.actions)
    more = four.counters.bytes_written - one.counters.bytes_written
    assert more < one.counters.bytes_written - load.bytes + 3 * 8 * 8 * 8 + 1000


@pytest.mark.parametrize("words", [64, 128])
def test_every_layer_of_a_run_in_strips_agrees(words):
    narrow = dataclasses.replace(TIGHT, activation_words=words, banks=1, requant_lanes=2)
    run = carried_out(small_network(), narrow, ProductSpec(), compare=True, images=small_images(2))
    assert run.holds and run.program.strips and not run.program.resident
    assert all(layer.compared == 2 * np.prod(layer.output) for layer in run.layers)
    assert max(layer.strips for layer in run.layers) >= 2


def test_what_no_strip_can_hold_is_refused_by_name():
    wide = Network(
        "wide",
        (4, 600, 8),
        1.0,
        4,
        (
            conv("stem", INPUT, 8, 8, 3, np.random.default_rng(0), zeros=(4, 4)),
            Add(
                "sum",
                ("stem", INPUT),
                0,
                1.0,
                input_zeros=(4, 4),
                multipliers=(2**30,) * 3,
                shifts=(0, 0, -18),
            ),
        ),
    )
    with pytest.raises(UserError, match="node 'sum' needs more than the 64 rows"):
        plan(wide, ProductSpec(), TIGHT)


def alone(node: Conv | Depthwise, shape: tuple[int, int, int], arithmetic: ProductSpec) -> Network:
    """A network of one node."""
    return Network("alone", shape, 1.0, node.input_zero, (node,), arithmetic=arithmetic)


def unrolled(run: NetworkRun) -> bool:
    """Whether the host has unrolled the windows."""
    return any(isinstance(action, Multiply) for action in run.program.actions)


DEEP = dataclasses.replace(ROOMY, weight_rows=1 << 16)


@pytest.mark.parametrize("spec", [DEEP, TIGHT, ORDERED], ids=["deep", "tight", "ordered"])
@pytest.mark.parametrize("inputs", [4096, 4098, 5003, 31 * 1057, 32768 - 8])
def test_fully_connected_layers_of_any_depth(spec, inputs):
    """As pixels of a row if they can be divided and fit, else as windows that the host cuts."""
    rng, shape = np.random.default_rng(inputs), (1, 1, inputs)
    node = conv("dense", INPUT, inputs, 9, 1, rng, zeros=(-128, 3))
    for arithmetic in (ProductSpec(sequence=spec.macro.sequence), ProductSpec(exact=True)):
        images = rng.integers(-128, 128, (1, *shape)).astype(np.int8)
        network = alone(node, shape, arithmetic)
        run = carried_out(network, spec, arithmetic, compare=True, images=images)
        assert run.holds
        assert unrolled(run) == (spec is not DEEP or inputs in (5003, 31 * 1057))


def test_a_layer_of_4096_outputs():
    rng = np.random.default_rng(9)
    node = conv("wide", INPUT, 40, 4096, 1, rng, zeros=(0, 3))
    images = rng.integers(-128, 128, (1, 1, 1, 40)).astype(np.int8)
    network = alone(node, (1, 1, 40), ProductSpec())
    assert carried_out(network, ROOMY, ProductSpec(), compare=True, images=images).holds


@pytest.mark.parametrize(
    ("channels", "kernel", "direct"), [(8, 3, True), (5, 1, True), (5, 3, False), (12, 3, False)]
)
def test_an_ordered_macro_runs_the_windows_that_keep_their_places(channels, kernel, direct):
    rng = np.random.default_rng(channels)
    node = conv("conv", INPUT, channels, 9, kernel, rng, zeros=(-128, 3))
    arithmetic = ProductSpec(sequence=LFSR, length=64)
    images = rng.integers(-128, 128, (2, 4, 4, channels)).astype(np.int8)
    network = alone(node, (4, 4, channels), arithmetic)
    run = carried_out(network, ORDERED, arithmetic, compare=True, images=images)
    assert run.holds and unrolled(run) != direct
    exact = carried_out(network, ORDERED, ProductSpec(exact=True), compare=True, images=images)
    assert exact.holds and not unrolled(exact)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=40))
def test_room_is_never_given_twice(requests):
    space, held = Space(64), {}
    for words, victim in requests:
        if len(held) > victim:
            base = sorted(held)[victim]
            space.release(base)
            del held[base]
        base = space.take(words)
        if base is not None:
            held[base] = words
        cells = [cell for start, size in held.items() for cell in range(start, start + size)]
        assert len(cells) == len(set(cells)) and all(0 <= cell < 64 for cell in cells)
        if base is None:  # no gap is large enough
            free = "".join("x" if cell in cells else "." for cell in range(64))
            assert "." * words not in free


@pytest.mark.parametrize("spec", [ROOMY, TIGHT], ids=["roomy", "tight"])
def test_layers_that_share_weights_keep_their_own_scales(spec: SocSpec) -> None:
    first = conv("first", INPUT, 5, 5, 3, np.random.default_rng(1), zeros=(4, -128))
    second = dataclasses.replace(
        first,
        name="second",
        inputs=("first",),
        input_zero=-128,
        multiplier=first.multiplier[::-1].copy(),
        shift=first.shift - 1,
    )
    network = Network("tied", (8, 8, 5), 1.0, 4, (first, second), tuple("abcde"), ProductSpec(), {})
    images = np.random.default_rng(2).integers(-128, 128, (2, 8, 8, 5)).astype(np.int8)
    assert first.weights is second.weights
    assert carried_out(network, spec, ProductSpec(), compare=True, images=images).holds
