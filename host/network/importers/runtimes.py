"""The program that runs a file in its own runtime, in a process of its own; see `child`.

    python -m dscim.host.network.importers.runtimes JOB.npz

It writes frames to its standard output: a letter, a length of 8 bytes, and as many bytes. "R" has
the results of a batch of images as an .npz, one array (N, H, W, C) int8 per node; "E" has the
runtime's error as text, or the name of a missing package after "missing:". What runtimes print
goes to the standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dscim.arrays import Array, Int8
from dscim.host.network.archive import unzip_arrays, zip_arrays

Header = dict[str, Any]
"""The job: see `dscim.host.network.importers.child.job`."""

Runtime = Callable[[bytes, Header, Int8], Iterator[dict[str, Int8]]]
"""Takes the file, the job and images (N, H, W, C); yields the tensors of each batch by node."""


def litert(data: bytes, job: Header, images: Int8) -> Iterator[dict[str, Int8]]:
    """LiteRT with its reference kernels and no delegate."""
    return _litert(data, job, images, "BUILTIN_REF")


def litert_optimised(data: bytes, job: Header, images: Int8) -> Iterator[dict[str, Int8]]:
    """LiteRT with its optimised kernels and no delegate: its reference SUM gives only zeros."""
    return _litert(data, job, images, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")


def _litert(data: bytes, job: Header, images: Int8, kernels: str) -> Iterator[dict[str, Int8]]:
    """LiteRT with the kernels of one of its resolvers."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415

    runner = Interpreter(
        model_content=data,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=getattr(OpResolverType, kernels),
    )
    runner.allocate_tensors()
    entry = runner.get_input_details()[0]
    for batch, count in _batches(images, job["batch"]):
        tensor = _outside(job, batch, np.dtype(entry["dtype"]))
        runner.set_tensor(entry["index"], tensor.reshape(entry["shape"]))
        runner.invoke()
        yield {
            node: _image(runner.get_tensor(origin["index"]), origin, len(batch))[:count]
            for node, origin in job["wanted"].items()
        }


def onnxruntime(data: bytes, job: Header, images: Int8) -> Iterator[dict[str, Int8]]:
    """onnxruntime on one core, with its default kernels."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    model = onnx.ModelProto.FromString(data)
    source = job["input"]
    wanted = dict.fromkeys(origin["name"] for origin in job["wanted"].values())
    there = {item.name for item in model.graph.output} | {source["name"]}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in wanted if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    runner = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    names = [name for name in wanted if name != source["name"]]
    order = [1 + "hwc".index(letter) for letter in source["order"]]
    for batch, count in _batches(images, job["batch"]):
        tensor = _outside(job, batch, np.dtype(source["dtype"])).transpose(0, *order)
        tensor = tensor.reshape(len(batch), *source["dims"])
        made = dict(zip(names, runner.run(names, {source["name"]: tensor}), strict=True))
        made.setdefault(source["name"], tensor)
        yield {
            node: _image(made[origin["name"]], origin, len(batch))[:count]
            for node, origin in job["wanted"].items()
            if made[origin["name"]].dtype in (np.int8, np.uint8)
        }


TOGETHER, PAUSE = 16, 2.0
"""Images per frame, and the seconds after which fewer are sent."""


RUNTIMES: dict[str, Runtime] = {
    "litert": litert,
    "litert_optimised": litert_optimised,
    "onnxruntime": onnxruntime,
}


def _batches(images: Int8, size: int) -> Iterator[tuple[Int8, int]]:
    """Batches of exactly `size` images, the last one filled up, and how many of each count."""
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        missing = size - len(batch)
        yield np.concatenate([batch, *[batch[-1:]] * missing]), len(batch)


def _outside(job: Header, images: Int8, kind: np.dtype[Any]) -> Array:
    """Images in the type of the file's input."""
    if kind == np.uint8:
        return images.view(np.uint8) ^ np.uint8(128)
    if kind == np.float32:
        real = images.astype(np.float64) - job["zero"]
        return (real * job["scale"]).astype(np.float32)
    return images


def _image(values: Array, origin: Header, count: int) -> Int8:
    """A tensor of the file as (count, H, W, C) int8: uint8 minus 128, its dimensions in order."""
    if values.dtype == np.uint8:
        values = (values ^ np.uint8(128)).view(np.int8)
    order = origin["order"]
    sizes = [origin["shape"]["hwc".index(letter)] for letter in order]
    held = values.reshape(count, *sizes)
    return held.transpose(0, *(1 + order.index(letter) for letter in "hwc"))


def _grouped(batches: Iterator[dict[str, Int8]]) -> Iterator[dict[str, Array]]:
    """The batches, several together; see TOGETHER."""
    held: list[dict[str, Int8]] = []
    count, started = 0, time.monotonic()

    def joined() -> dict[str, Array]:
        return {name: np.concatenate([batch[name] for batch in held]) for name in held[0]}

    for batch in batches:
        held.append(batch)
        count += len(next(iter(batch.values())))
        if count >= TOGETHER or time.monotonic() - started > PAUSE:
            yield joined()
            held, count, started = [], 0, time.monotonic()
    if held:
        yield joined()


def _send(pipe: BinaryIO, kind: bytes, content: bytes) -> None:
    pipe.write(kind + len(content).to_bytes(8, "little") + content)
    pipe.flush()


def main(path: Path) -> None:
    """Runs the job in the file `path`."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    arrays = unzip_arrays(path.read_bytes())
    job = json.loads(arrays["job"].tobytes())
    try:
        made = RUNTIMES[job["runtime"]](arrays["file"].tobytes(), job, arrays["images"])
        for together in _grouped(made):
            _send(pipe, b"R", zip_arrays(together, compressed=False))
    except ImportError as error:
        _send(pipe, b"E", f"missing:{error.name}".encode())
    except Exception as error:
        _send(pipe, b"E", str(error).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
