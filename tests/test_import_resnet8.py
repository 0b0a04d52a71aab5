"""The MLPerf Tiny ResNet-8 in INT8: every layer's every integer against LiteRT, its accuracy.

Needs the folder that DSCIM_DATA names to hold mlperf-tiny/resnet8_int8.tflite and the CIFAR-10
test images, as cifar10-jpeg.npz or in the official layout.
"""

import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import pytest

from dscim.host.importers import import_file
from dscim.host.network import predictions, run
from tests.tflite_files import interpreter

DATA = Path(os.environ.get("DSCIM_DATA", "no-data"))
FILE, IMAGES = DATA / "mlperf-tiny" / "resnet8_int8.tflite", DATA / "cifar10-jpeg.npz"
REASON = next((f"{what} is missing" for what, there in (
    ("the environment variable DSCIM_DATA", "DSCIM_DATA" in os.environ),
    (str(FILE), FILE.is_file()), (str(IMAGES), IMAGES.is_file()),
    ("ai-edge-litert", importlib.util.find_spec("ai_edge_litert")),
    ("pillow", importlib.util.find_spec("PIL"))) if not there), None)
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def test_images(count):
    """The first `count` images, (count, 32, 32, 3) int8, and their classes."""
    from PIL import Image  # noqa: PLC0415
    with np.load(IMAGES) as file:
        ends, raw = file["test_ends"][:count], file["test_bytes"]
        labels = file["test_labels"][:count]
    starts = [0, *ends[:-1]]
    pixels = [np.asarray(Image.open(io.BytesIO(raw[a:b].tobytes())).convert("RGB"))
              for a, b in zip(starts, ends, strict=True)]
    return (np.stack(pixels) ^ np.uint8(128)).view(np.int8), labels


test_images.__test__ = False


@pytest.mark.parametrize("count", [16, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_integer_is_litert_s(count):
    result = import_file(FILE)
    assert not result.saturated and not result.rounded
    images, labels = test_images(count)
    runner = interpreter(FILE.read_bytes())
    indices = {item["name"]: item["index"] for item in runner.get_tensor_details()}
    right = 0
    for start in range(0, count, 8):
        made = run(result.network, images[start:start + 8])
        for number, image in enumerate(images[start:start + 8]):
            runner.set_tensor(runner.get_input_details()[0]["index"], image[None])
            runner.invoke()
            for node, output in made.items():
                wanted = runner.get_tensor(indices[result.sources[node]])
                assert np.array_equal(output[number].ravel(), wanted.ravel()), (node, start)
        last = made[result.network.nodes[-1].name]
        right += int((predictions(last) == labels[start:start + 8]).sum())
    print(f"{right} of {count} right")
    assert right > 0.6 * count      # 75.4 % of all 10,000
