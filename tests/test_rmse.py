"""RMSE on uniform operands, by enumeration, equals the contract's table (section 3)."""

import pytest

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.golden.reference.error import uniform_rmse

LENGTHS = {16: (64, 128, 256, 512, 1024), 64: (64, 128, 256)}
COUNTER = {
    ("offset", 0): ((0.836, 0.485, 0.309, 0.233, 0.584), (2.508, 1.470, 0.836)),
    ("split", 0): ((0.466, 0.293, 0.179, 0.106, 0.064), (0.743, 0.714, 0.466)),
    ("split", 1): ((0.246, 0.152, 0.092, 0.054, 0.032), (0.628, 0.391, 0.246)),
    ("split", 2): ((0.275, 0.264, 0.260, 0.259, 0.268), (0.376, 0.304, 0.275)),
}
ROWS = [
    (or_width, length, signed, shift, figure)
    for (signed, shift), figures in COUNTER.items()
    for or_width, values in zip((16, 64), figures, strict=True)
    for length, figure in zip(LENGTHS[or_width], values, strict=True)
]


@pytest.mark.parametrize(("or_width", "length", "signed", "shift", "figure"), ROWS)
def test_counter_rows_to_the_digits_shown(or_width, length, signed, shift, figure):
    spec = ProductSpec(or_width, length, SequenceSpec(), signed, shift)
    assert round(uniform_rmse(spec), 3) == figure


@pytest.mark.parametrize(
    ("or_width", "length", "taps", "seeds", "figure"),
    [
        (16, 256, (0x95, 0x95), (212, 187), 0.363),
        (16, 128, (0x96, 0x96), (116, 54), 0.78),
        (16, 64, (0xC6, 0xB8), (102, 196), 1.20),
        (64, 64, (0x8E, 0xFA), (56, 201), 2.72),
        (64, 128, (0xA6, 0xA6), (49, 218), 1.88),
        (64, 256, (0x96, 0x96), (250, 36), 0.94),
    ],
)
def test_best_lfsr_seeds_within_five_percent(or_width, length, taps, seeds, figure):
    spec = ProductSpec(or_width, length, SequenceSpec("lfsr", taps, seeds), "offset")
    assert uniform_rmse(spec) == pytest.approx(figure, rel=0.05)
