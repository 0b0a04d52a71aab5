"""Compares an imported network, node by node, with the runtime that its file was made for.

A runtime takes the network's int8 input and yields, for each image, the int8 of INPUT and of each
node, (H, W, C); uint8 is shifted by 128. Nodes without integers in the runtime are left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from dscim.arrays import Array, Int8
from dscim.errors import UserError
from dscim.host.network import Evaluator, Shape, check_images
from dscim.host.network.evaluate import BATCH
from dscim.host.network.importers.draft import Imported
from dscim.progress import Tick

Runtime = Callable[[bytes, Imported, Int8], Iterator[dict[str, Int8]]]
"""Takes the file, its import and images (N, H, W, C); see the module."""


@dataclass
class Compared:
    """The outputs of a node for the runtime's own inputs.

    outputs: how many were compared. differing: how many differ. greatest: the greatest difference.
    """

    name: str
    outputs: int = 0
    differing: int = 0
    greatest: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


def compare(data: bytes, imported: Imported, images: Int8, step: Tick) -> list[Compared]:
    """One entry per node for which the runtime has integers; the last is the network end to end.

    data: the bytes of the file. images: (N, H, W, C) int8, the network's input. step: called with
    the images done and all images. Every node takes the runtime's inputs, so a difference counts
    only once.
    """
    network = imported.network
    images = check_images(network, images)
    evaluator = Evaluator(network)
    results: dict[str, Compared] = {}
    whole, last, done = Compared("end to end"), network.nodes[-1].name, 0
    running = runtime(imported)(data, imported, images)
    while batch := list(islice(running, BATCH)):
        theirs = {name: np.stack([each[name] for each in batch]) for name in batch[0]}
        ours = evaluator.nodes(images[done : done + len(batch)])
        for node in network.nodes:
            made = evaluator.node(node, [theirs[name] for name in node.inputs])
            if node.name in theirs:
                _count(results.setdefault(node.name, Compared(node.name)), made, theirs[node.name])
            else:
                theirs[node.name] = made
        _count(whole, ours[last], theirs[last])
        done += len(batch)
        step(done, len(images))
    if not done:
        raise UserError("a comparison needs at least one image.")
    return [*results.values(), whole]


def _count(result: Compared, ours: Int8, theirs: Int8) -> None:
    off = np.abs(ours.astype(np.int16) - theirs)
    result.outputs += off.size
    result.differing += int(np.count_nonzero(off))
    result.greatest = max(result.greatest, int(off.max()))


def litert(data: bytes, imported: Imported, images: Int8) -> Iterator[dict[str, Int8]]:
    """LiteRT with its reference kernels and no delegate."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415

    runner = Interpreter(
        model_content=data,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    runner.allocate_tensors()
    entry = runner.get_input_details()[0]
    indices = {item["name"]: item["index"] for item in runner.get_tensor_details()}
    shapes = imported.network.shapes()
    for image in images:
        tensor = _outside(imported, image, np.dtype(entry["dtype"]))
        runner.set_tensor(entry["index"], tensor.reshape(entry["shape"]))
        runner.invoke()
        yield {
            node: _inside(runner.get_tensor(indices[source])).reshape(shapes[node])
            for node, source in imported.sources.items()
        }


def onnxruntime(data: bytes, imported: Imported, images: Int8) -> Iterator[dict[str, Int8]]:
    """onnxruntime on one core, with its default kernels."""
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    from dscim.host.network.importers.onnx_file import read  # noqa: PLC0415
    from dscim.host.network.importers.onnx_qdq import input_layout  # noqa: PLC0415

    graph = read(data)
    layout, shapes = input_layout(graph), imported.network.shapes()
    model = onnx.ModelProto.FromString(data)
    wanted = list(dict.fromkeys(imported.sources.values()))
    there = {item.name for item in model.graph.output} | {graph.input[0]}
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in wanted if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    runner = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    kind = {"FLOAT": "f4", "INT8": "i1", "UINT8": "u1"}[graph.input[1]]
    order = ["hwc".index(letter) for letter in layout.order]
    for image in images:
        tensor = _outside(imported, image, np.dtype(kind)).transpose(order)[None]
        if layout.flat:
            tensor = tensor.reshape(1, -1)
        names = [name for name in wanted if name != graph.input[0]]
        made = dict(zip(names, runner.run(names, {graph.input[0]: tensor}), strict=True))
        made.setdefault(graph.input[0], tensor)
        yield {
            node: _image(_inside(made[source]), shapes[node])
            for node, source in imported.sources.items()
            if made[source].dtype.kind in "iu"
        }


RUNTIMES: dict[str, Runtime] = {"TensorFlow Lite INT8": litert, "ONNX QDQ": onnxruntime}
"""By the format in an import's provenance."""


def runtime(imported: Imported) -> Runtime:
    """The runtime for an imported file; it raises UserError if it is not installed or fails."""
    runner = RUNTIMES[imported.network.provenance["import"]["format"]]

    def run(data: bytes, imported: Imported, images: Int8) -> Iterator[dict[str, Int8]]:
        try:
            yield from runner(data, imported, images)
        except ImportError as error:
            raise UserError(
                f"comparing needs the Python package {error.name!r}; install it with "
                "`pip install 'dscim[compare]'`."
            ) from error
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"{runner.__name__} cannot run the file: {reason}.") from error

    return run


def _outside(imported: Imported, image: Int8, kind: np.dtype[Any]) -> Array:
    """An image in the type of the file's input."""
    if kind == np.uint8:
        return image.view(np.uint8) ^ np.uint8(128)
    if kind == np.float32:
        real = image.astype(np.float64) - imported.network.zero
        return (real * imported.network.scale).astype(np.float32)
    return image


def _inside(values: Array) -> Array:
    """A tensor in the network's type: uint8 minus 128."""
    return (values ^ np.uint8(128)).view(np.int8) if values.dtype == np.uint8 else values


def _image(values: Int8, shape: Shape) -> Int8:
    """A tensor (1, C, H, W), (1, H, W, C), or (1, K) in the order C, H, W, as (H, W, C)."""
    height, width, channels = shape
    if values.shape[1:] == shape and values.shape[1:] != (channels, height, width):
        return values.reshape(shape)
    return values.reshape(channels, height, width).transpose(1, 2, 0)
