"""Imported ONNX QDQ networks against onnxruntime: at most 1 apart on the same input."""

import importlib.util

import numpy as np
import pytest

from dscim.host.importers import import_file
from dscim.host.network import Evaluator, load, save
from tests.onnx_networks import FILES, session

needs_runtime = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None,
                                   reason="onnxruntime is not installed")


def imported(tmp_path, data):
    path = tmp_path / "n.onnx"
    path.write_bytes(data)
    return import_file(path)


def runtime(chain, network, images, fused):
    """onnxruntime's integers of each quantiser, (N, ...) int8, for the network's own input."""
    runner = session(chain.pack(every=True), fused)
    scale = np.float32(network.scale)
    floats = (images.astype(np.float32) - network.zero) * scale
    if chain.shapes["x"][1:] != network.shape:
        floats = floats.transpose(0, 3, 1, 2)
    each = [runner.run(None, {"x": one[None]}) for one in floats]
    stacks = {name: np.concatenate(parts) for name, parts in
              zip(chain.quantisers, zip(*each, strict=True), strict=True)}
    return {name: (stack ^ np.uint8(128)).view(np.int8) if stack.dtype == np.uint8 else stack
            for name, stack in stacks.items()}


def as_images(values, shape):
    """(N, H, W, C) of onnxruntime's (N, C, H, W), (N, H, W, C) or (N, K)."""
    if values.ndim == 4 and values.shape[1:] != shape:
        values = values.transpose(0, 2, 3, 1)
    return values.reshape(-1, *shape)


@needs_runtime
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_1_apart_at_most(tmp_path, name, kind, fused):
    chain = FILES[name](0, kind)
    result = imported(tmp_path, chain.pack())
    save(result.network, tmp_path / "n.npz")
    network = load(tmp_path / "n.npz")
    images = np.random.default_rng(0).integers(-128, 128, (64, *network.shape)).astype(np.int8)
    wanted = runtime(chain, network, images, fused)
    shapes, evaluator, off, total = network.shapes(), Evaluator(network), 0, 0
    known = {node: as_images(wanted[source], shapes[node])
             for node, source in result.sources.items() if source in wanted}
    assert np.array_equal(known["input"], images)
    for node in network.nodes:
        made = evaluator.node(node, [known[source] for source in node.inputs])
        if node.name not in known:          # a node that onnxruntime has no integers of
            known[node.name] = made
            continue
        difference = np.abs(made.astype(int) - known[node.name])
        assert difference.max() <= 1, node.name
        assert made.std() > 1
        off, total = off + np.count_nonzero(difference), total + difference.size
    print(f"{name} {kind.__name__} fused={fused}: {off} of {total} outputs are 1 apart")
    assert off <= 0.01 * total
