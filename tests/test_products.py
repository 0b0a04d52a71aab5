"""Products on the simulated SoC equal the contract, for every available macro.

The macros' own tests drive each macro alone; here a product takes the user's path: packed,
cut into tiles, sent over the link, computed by the SoC, read back.
"""

import itertools

import numpy as np
import pytest

from dscim.gateware.specs import MacroSpec, ProductSpec, SequenceSpec, SocSpec, table_sequence
from dscim.host.device import Device
from dscim.host.device.target import open_target
from dscim.host.golden.reference import contract, product

LFSR = SequenceSpec("lfsr", (0x8E, 0xFA), (56, 201))
COUNTER = SequenceSpec()
TABLE = table_sequence("gaussian")
MACROS = {
    **{
        f"selected-{or_width}-{sequence.kind}-{lanes}": MacroSpec(
            or_width=or_width, sequence=sequence, lanes=lanes
        )
        for or_width, sequence, lanes in (
            (16, COUNTER, 16),
            (16, COUNTER, 1),
            (16, COUNTER, 64),
            (16, LFSR, 1),
            (64, COUNTER, 4),
            (64, COUNTER, 1),
            (64, LFSR, 1),
        )
    },
    **{
        f"array-{or_width}-{sequence.kind}-{lanes}": MacroSpec(
            columns=columns, or_width=or_width, form="array", sequence=sequence, lanes=lanes
        )
        for or_width, sequence, lanes, columns in (
            (16, COUNTER, 1, 32),
            (16, LFSR, 4, 32),
            (64, COUNTER, 4, 32),
            (64, LFSR, 1, 32),
            (16, LFSR, 16, 4),
            (16, COUNTER, 64, 4),
            (64, LFSR, 64, 4),
            (64, COUNTER, 16, 4),
        )
    },
    "selected-16-table-16": MacroSpec(sequence=TABLE),
    "selected-16-table-1": MacroSpec(sequence=TABLE, lanes=1),
    "selected-16-scaled-16": MacroSpec(sequence=table_sequence("gaussian-scaled")),
    "selected-64-table-4": MacroSpec(or_width=64, sequence=TABLE, lanes=4),
}
DEPTHS = (1, 27, 128, 129, 576)
COLUMNS = (1, 31, 32, 33, 64)
KINDS = ("random", "-128", "127", "0", "one row", "sparse")


def operands(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Operands of one kind; the rows of a product are the last axis of x and the first of w."""
    values = rng.integers(-128, 128, shape)
    if kind == "sparse":
        values[rng.random(shape) < 0.9] = 0
    elif kind == "one row":
        kept = values[0].copy()
        values[:] = 0
        values[0] = kept
    elif kind != "random":
        values[:] = int(kind)
    return values.astype(np.int8)


def products(macro: MacroSpec) -> list[ProductSpec]:
    """Both signed modes, every shift, L = 64 to 256, and 1024 for G = 16, as far as it has them."""
    lengths = (64, 128, 256, 1024) if macro.or_width == 16 else (64, 128, 256)
    modes = [("offset", 0), *(("split", shift) for shift in range(4))]
    every = [
        ProductSpec(macro.or_width, length, macro.sequence, signed, shift)
        for length, (signed, shift) in itertools.product(lengths, modes)
        if length // macro.or_width <= macro.max_samples
    ]
    return [product for product in every if macro.rejection(product) is None]


def check(device: Device, seed: int, shapes: int) -> int:
    """Checks every product of the macro on `shapes` shapes and kinds; returns the number."""
    rng = np.random.default_rng(seed)
    corners = list(itertools.product(DEPTHS, COLUMNS, KINDS))
    done = 0
    for spec in products(device.spec.macro):
        for place in rng.choice(len(corners), shapes, replace=False):
            depth, columns, kind = corners[place]
            zero_point = int(rng.choice((-128, 0, rng.integers(-128, 128))))
            x = operands(kind, rng, (2, depth))
            w = operands(kind if kind in ("-128", "127") else "random", rng, (depth, columns))
            run = device.multiply(x, w, spec, zero_point)
            message = f"{spec} K={depth} N={columns} {kind} z={zero_point}"
            expected = product(x, w, spec, zero_point)
            np.testing.assert_array_equal(run.values, expected, err_msg=message)
            np.testing.assert_array_equal(
                expected[:, :3], contract.product(x, w[:, :3], spec, zero_point), message
            )
            done += 1
    return done


def test_default_device():
    with open_target("sim", SocSpec()) as device:
        assert check(device, seed=1, shapes=2) == 40


@pytest.mark.parametrize("lanes", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_small_array_at_every_length(lanes):
    macro = MacroSpec(16, 4, form="array", lanes=lanes)
    spec = SocSpec(
        macro,
        exact=False,
        activation_words=512,
        weight_rows=128,
        channels=16,
        strip=4,
        requant_lanes=4,
    )
    rng = np.random.default_rng(lanes)
    x, w = operands("random", rng, (2, 40)), operands("random", rng, (40, 4))
    with open_target("sim", spec) as device:
        for arithmetic in products(macro):
            found = device.multiply(x, w, arithmetic, 3).values
            assert (found == contract.product(x, w, arithmetic, 3)).all(), arithmetic


def device_of(name: str) -> SocSpec:
    """The device of a macro of MACROS."""
    macro = MACROS[name]
    return SocSpec(macro, exact=False, requant_lanes=min(16, macro.columns))


@pytest.mark.parametrize(
    "name", ["selected-16-counter-16", "array-64-lfsr-1", "selected-64-table-4"]
)
def test_a_macro_of_each_kind_on_ref(name):
    with open_target("ref", device_of(name)) as device:
        assert check(device, seed=3, shapes=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", MACROS)
def test_every_macro(name):
    with open_target("sim", device_of(name)) as device:
        print(f"{name}: {check(device, seed=2, shapes=10)} products of x and w agree")
