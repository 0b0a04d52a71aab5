"""Mutated .tflite and .onnx files of every operator: each is imported, or refused in one sentence.

    python -m tests.fuzz_imports --count 1000 --seed 0

The files are random graphs of all operators. They are changed in their structure (shapes, types,
scales, axes, operators, wires) or in their bytes. It prints what went wrong, and a count.
"""

import argparse
import collections
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import onnx

from dscim.errors import UserError
from dscim.host.network.importers import check_file, import_file
from tests import onnx_graphs, tflite_graphs

SECONDS = 10
"""The limit on processor time for any file."""

NUMBERS = [-(2**31), -129, -2, -1, 0, 1, 2, 3, 127, 128, 255, 4096, 65536, 2**31 - 1]
SCALES = [0.0, -1.0, 1e-30, 1e-7, 0.5, 1e7, np.inf, np.nan]


def graph_of(seed, module):
    """A random graph, and its generator."""
    generator = np.random.default_rng(seed)

    def draw(choices):
        return choices[int(generator.integers(len(choices)))]

    return module.random_graph(draw, seed), draw


def mutated_tflite(seed):
    """The bytes of a mutated .tflite file."""
    graph, draw = graph_of(seed, tflite_graphs)
    file = graph.file
    for _ in range(draw([0, 1, 1, 2])):
        change = draw(["shape", "kind", "scale", "zero", "values", "operator", "wire", "option"])
        place = draw(range(len(file.tensors)))
        shape, kind, scale, zero, values, axis, name = file.tensors[place]
        fields, inputs, outputs, options, more = _operator(file, draw)
        if change == "shape" and shape:
            which = draw(range(len(shape)))
            shape = (*shape[:which], draw(NUMBERS), *shape[which + 1 :])
        elif change == "kind":
            kind = draw(["INT8", "UINT8", "INT16", "FLOAT32", "INT32"])
            values = None
        elif change == "scale" and scale is not None:
            scale = np.float32(draw(SCALES))
        elif change == "zero":
            zero = draw(NUMBERS)
        elif change == "values" and values is not None and values.size and values.dtype.kind == "i":
            values = values.copy()
            limits = np.iinfo(values.dtype)
            values.flat[draw(range(values.size))] = np.clip(draw(NUMBERS), limits.min, limits.max)
        elif change == "operator":
            names = [each[0] for each in file.operators]
            file.operators[fields] = (draw(names), inputs, outputs, options, more)
        elif change == "wire" and inputs:
            wired = list(inputs)
            wired[draw(range(len(wired)))] = draw(range(-1, len(file.tensors)))
            file.operators[fields] = (file.operators[fields][0], wired, outputs, options, more)
        elif change == "option" and more:
            key = draw(sorted(more))
            value = draw([0, 1, 2, 3, 5, 127]) if not isinstance(more[key], float) else 1e30
            changed = {**more, key: type(more[key])(value)}
            file.operators[fields] = (file.operators[fields][0], inputs, outputs, options, changed)
        file.tensors[place] = (shape, kind, scale, zero, values, axis, name)
    return bytes_changed(graph.pack(), draw)


def _operator(file, draw):
    """The place of an operator, and its inputs, outputs, options and their fields."""
    place = draw(range(len(file.operators)))
    _, inputs, outputs, options, more = file.operators[place]
    return place, inputs, outputs, options, more


def mutated_onnx(seed):
    """The bytes of a mutated .onnx file."""
    graph, draw = graph_of(seed, onnx_graphs)
    model = onnx.ModelProto.FromString(graph.pack())
    nodes, constants = model.graph.node, model.graph.initializer
    for _ in range(draw([0, 1, 1, 2])):
        change = draw(["attribute", "wire", "kind", "type", "dims", "opset", "drop"])
        node = draw(nodes)
        if change == "attribute" and node.attribute:
            item = draw(node.attribute)
            item.i = draw(NUMBERS)
            if item.ints:
                item.ints[draw(range(len(item.ints)))] = draw(NUMBERS)
        elif change == "wire" and node.input:
            names = [name for each in nodes for name in each.output] + [
                each.name for each in constants
            ]
            node.input[draw(range(len(node.input)))] = draw([*names, ""])
        elif change == "kind":
            node.op_type = draw(nodes).op_type
        elif change == "type" and constants:
            draw(constants).data_type = draw([1, 2, 3, 6, 7, 9, 10])
        elif change == "dims":
            held = draw(constants)
            if held.dims:
                held.dims[draw(range(len(held.dims)))] = draw(NUMBERS)
        elif change == "opset":
            model.opset_import[0].version = draw([7, 11, 12, 13, 18, 21])
        elif change == "drop" and node.input:
            del node.input[-1]
    return bytes_changed(model.SerializeToString(), draw)


def bytes_changed(data, draw):
    """The bytes with up to three changes, or cut, or as they are."""
    changed = bytearray(data)
    for _ in range(draw([0, 0, 0, 1, 3])):
        place = draw(range(len(changed) - 4))
        changed[place : place + 4] = (draw(NUMBERS) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(changed[: draw([len(changed)] * 9 + [len(changed) // 2])])


MUTATIONS = {".tflite": mutated_tflite, ".onnx": mutated_onnx}


def outcome(path):
    """ "imported" or "refused"; AssertionError for anything else. Also lists its operators."""
    started = time.process_time()
    try:
        import_file(path)
        result = "imported"
    except UserError as error:
        assert "\n" not in str(error), error
        result = "refused"
    try:
        check_file(path)
    except UserError as error:
        assert "\n" not in str(error), error
    taken = time.process_time() - started
    assert taken < SECONDS, f"{taken:.0f} s"
    return result


def fuzz(count, seed, seconds=1e9):
    """Imports mutated files; returns the counts by outcome, and prints what went wrong."""
    counts, started = collections.Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            if time.monotonic() - started > seconds:
                break
            suffix = list(MUTATIONS)[number % 2]
            path = Path(folder) / f"file{suffix}"
            path.write_bytes(MUTATIONS[suffix](number))
            try:
                counts[f"{suffix} {outcome(path)}"] += 1
            except Exception:
                counts["WRONG"] += 1
                print(f"seed {number}: {traceback.format_exc()[-900:]}", flush=True)
    return counts


if __name__ == "__main__":
    warnings.simplefilter("error")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="files to try")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first file")
    parser.add_argument("--seconds", type=float, default=1e9, help="time after which it stops")
    options = parser.parse_args()
    print(dict(fuzz(options.count, options.seed, options.seconds)))
