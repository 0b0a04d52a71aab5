"""The MLPerf Tiny ResNet-8 in INT8: every integer of every layer equals LiteRT's; accuracy.

Needs the folder that DSCIM_DATA names to hold mlperf-tiny/resnet8_int8.tflite and the CIFAR-10
test images, as cifar10-jpeg.npz or in the official layout.
"""

import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import pytest

from dscim.host.network import Evaluator, predictions
from dscim.host.network.importers import compare, import_file

DATA = Path(os.environ.get("DSCIM_DATA", "no-data"))
FILE, IMAGES = DATA / "mlperf-tiny" / "resnet8_int8.tflite", DATA / "cifar10-jpeg.npz"
REASON = next(
    (
        f"{what} is missing"
        for what, there in (
            ("the environment variable DSCIM_DATA", "DSCIM_DATA" in os.environ),
            (str(FILE), FILE.is_file()),
            (str(IMAGES), IMAGES.is_file()),
            ("ai-edge-litert", importlib.util.find_spec("ai_edge_litert")),
            ("pillow", importlib.util.find_spec("PIL")),
        )
        if not there
    ),
    None,
)
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def test_images(count):
    """The first `count` images, (count, 32, 32, 3) int8, and their classes."""
    from PIL import Image  # noqa: PLC0415

    with np.load(IMAGES) as file:
        ends, raw = file["test_ends"][:count], file["test_bytes"]
        labels = file["test_labels"][:count]
    starts = [0, *ends[:-1]]
    pixels = [
        np.asarray(Image.open(io.BytesIO(raw[a:b].tobytes())).convert("RGB"))
        for a, b in zip(starts, ends, strict=True)
    ]
    return (np.stack(pixels) ^ np.uint8(128)).view(np.int8), labels


test_images.__test__ = False


@pytest.mark.parametrize("count", [16, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_integer_is_litert_s(count):
    result = import_file(FILE)
    assert not result.saturated and not result.rounded
    images, labels = test_images(count)
    results = compare(FILE.read_bytes(), result, images, lambda done, total: None)
    assert len(results) == 16 and not any(each.differing for each in results)
    right = int((predictions(Evaluator(result.network).outputs(images)) == labels).sum())
    print(f"{right} of {count} right")
    assert right > 0.6 * count  # 75.55 % of all 10,000, the same as LiteRT
