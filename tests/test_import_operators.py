"""Every operator that can be imported, one by one and in random graphs, against its runtime."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import SpecError
from dscim.host.compile.lower import where
from dscim.host.network import Weighted
from dscim.host.network.importers.expand import stuffed
from dscim.host.network.importers.onnx_operators import OPERATORS as ONNX
from dscim.host.network.importers.tflite_operators import OPERATORS as LITE
from tests import onnx_graphs, tflite_graphs
from tests.fuzz_imports import fuzz
from tests.import_checks import differences, differing, imported
from tests.tflite_networks import RELU6, SAME, VALID

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")


def lite(seed, shape=(1, 4, 6, 8), **more):
    zero = int(np.random.default_rng(seed).integers(-128, 128))
    return tflite_graphs.Graph(seed, shape, zero=zero, **more)


def excited(seed):
    """Squeeze and excitation: a mean, a product, a sigmoid, a broadcast product."""
    graph = lite(seed)
    graph.reduce("MEAN", [1, 2]).grouped(1, 8, (1, 1)).unary("LOGISTIC")
    return graph.binary("MUL", other=graph.first)


def subtracted(seed):
    graph = lite(seed).grouped(1, 8)
    return graph.binary("SUB", graph.first)


def added(seed):
    graph = lite(seed).reduce("MEAN", [1, 2])
    return graph.binary("ADD", other=graph.first)


def joined(seed, step, *more):
    """Two tensors of one quantity, by a step of the graph."""
    graph = lite(seed).pool("MAX_POOL_2D", (3, 3), (1, 1), SAME)
    if step == "binary":
        return graph.binary(*more, other=graph.first)
    return graph.concat([graph.first], *more)


SINGLE = {
    **{name: lambda seed, name=name: lite(seed).unary(name) for name in tflite_graphs.UNARY},
    "PRELU": lambda seed: lite(seed).prelu((1, 1, 8)),
    "ADD of a constant": lambda seed: lite(seed).binary("ADD", constant=(8,)),
    "ADD of an image": lambda seed: lite(seed).binary("ADD", constant=(1, 4, 6, 8)),
    "SUB from a constant": lambda seed: lite(seed).binary("SUB", constant=(1, 6, 1), first=False),
    "SUB of tensors": subtracted,
    "MUL with RELU6": lambda seed: lite(seed).binary("MUL", constant=(8,), activation=RELU6),
    "MUL broadcast": excited,
    "ADD broadcast": added,
    "MAXIMUM": lambda seed: joined(seed, "binary", "MAXIMUM"),
    "MINIMUM": lambda seed: lite(seed).binary("MINIMUM", constant=(8,)),
    "CONCATENATION": lambda seed: joined(seed, "concat", 3),
    "CONCATENATION of rows": lambda seed: joined(seed, "concat", -3),
    "SPLIT": lambda seed: lite(seed).split(3, 4),
    "STRIDED_SLICE": lambda seed: lite(seed).strided([0, 3, 1, 0], [1, 0, 6, 8], [1, -1, 2, 3]),
    "SLICE": lambda seed: lite(seed).slice([0, 1, 0, 2], [1, 2, -1, 5]),
    "TRANSPOSE": lambda seed: lite(seed).transpose([0, 3, 1, 2]),
    "TRANSPOSE of the batch": lambda seed: lite(seed).transpose([2, 0, 1, 3]),
    "RESIZE_NEAREST_NEIGHBOR": lambda seed: lite(seed).resize([7, 13]),
    "... by corners": lambda seed: lite(seed).resize([7, 13], align=True),
    "... by centers": lambda seed: lite(seed).resize([9, 5], half=True),
    "SPACE_TO_DEPTH": lambda seed: lite(seed).to_depth(2),
    "DEPTH_TO_SPACE": lambda seed: lite(seed).to_space(2),
    "PAD of channels": lambda seed: lite(seed).pads([(0, 0), (1, 0), (0, 2), (3, 1)]),
    "TRANSPOSE_CONV": lambda seed: lite(seed).transpose_conv(3),
    "... without padding": lambda seed: lite(seed).transpose_conv(3, (2, 3), (1, 2), VALID),
    "... of holes": lambda seed: lite(seed).transpose_conv(3, (2, 2), (3, 3), VALID, False),
    "CONV_2D in groups": lambda seed: lite(seed).grouped(4, 2),
    "CONV_2D dilated": lambda seed: lite(seed, (1, 9, 9, 4)).grouped(2, 2, dilated=2),
    "SOFTMAX of positions": lambda seed: lite(seed).softmax(),
    "LOG_SOFTMAX": lambda seed: lite(seed).log_softmax(),
    "three dimensions": lambda seed: lite(seed, (1, 6, 8)).dense(4, keep=True).softmax(),
    "five dimensions": lambda seed: (
        lite(seed).reshape((1, 2, 2, 6, 8)).transpose([0, 2, 1, 3, 4]).reduce("MEAN", [1])
    ),
    "batch": lambda seed: lite(seed, (3, 4, 6, 8)).grouped(1, 4).reduce("REDUCE_MAX", [1, 2]),
}


@pytest.mark.parametrize("name", SINGLE)
def test_an_operator_of_tensorflow_lite_equals_its_kernel(name):
    for seed in range(3):
        assert not differing(SINGLE[name](seed).pack(), seed=seed), seed


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("axes", [[1, 2], [2, 1], [3], [1], [1, 3], [1, 2, 3], [-1]])
@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_a_reduction_over_any_axes_equals_its_kernel(name, axes, keep):
    for seed in range(3):
        assert not differing(lite(seed).reduce(name, axes, keep).pack(), seed=seed)


def test_products_of_new_operators_run_on_the_macro():
    for name in ("TRANSPOSE_CONV", "CONV_2D in groups", "CONV_2D dilated", "MUL broadcast"):
        made = imported(SINGLE[name](0).pack()).network
        assert made.nodes_of(Weighted)
        assert all(where(type(node)) == "device" for node in made.nodes_of(Weighted))


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(0, 2**16))
def test_any_graph_of_tensorflow_lite_equals_its_kernels(data, seed):
    graph = tflite_graphs.random_graph(lambda each: data.draw(st.sampled_from(list(each))), seed)
    try:
        assert not differing(graph.pack(), seed=seed)
    except UserError as error:
        assert "its input" in str(error)  # nothing is computed


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(0, 2**16))
def test_any_graph_of_onnx_is_within_one_per_node(data, seed):
    graph = onnx_graphs.random_graph(lambda each: data.draw(st.sampled_from(list(each))), seed)
    try:
        found = differences(graph.pack(), seed=seed, suffix=".onnx")
    except UserError as error:
        assert "its input" in str(error)
        return
    assert all(off <= 1 for name, (_, off) in found.items() if name != "end to end"), found


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("name", onnx_graphs.FUNCTIONS)
def test_a_function_of_onnx_is_within_one(name, kind):
    graph = onnx_graphs.Graph(1, (1, 4, 3, 5), kind)
    graph.opset = 20 if name == "Gelu" else 18 if name == "Mish" else 17
    found = differences(graph.step(name).pack(), suffix=".onnx", count=5)
    assert all(off <= 1 for _, off in found.values())


def test_an_expression_is_one_table():
    """x * sigmoid(x), and a hard swish of four operators, without quantisers in between."""
    graph = onnx_graphs.Graph(0, (1, 4, 3, 5))
    start = graph.last
    graph.node("Sigmoid").node("Mul", graph.last, start).quantised()
    start = graph.last
    graph.node("Add", start, graph.constant(np.float32(3))).relu6().node("Mul", graph.last, start)
    graph.node("Div", graph.last, graph.constant(np.float32(6))).quantised()
    made = imported(graph.pack(), ".onnx").network
    assert [type(node).__name__ for node in made.nodes] == ["Lookup", "Lookup"]
    assert all(off <= 1 for _, off in differences(graph.pack(), suffix=".onnx").values())


def test_all_operators_are_declared():
    for table in (LITE, ONNX):
        for name, each in table.items():
            assert each.title and (each.kinds or each.title == "no effect"), name


def test_mutated_files_are_imported_or_refused(capsys):
    counts = fuzz(300, 0)
    assert not counts["WRONG"], capsys.readouterr().out
    assert all(counts[f"{suffix} {end}"] > 10 for suffix in (".tflite", ".onnx") for end in ENDS)


@pytest.mark.slow
def test_many_mutated_files_are_imported_or_refused(capsys):
    """`python -m tests.fuzz_imports --count 100000` tries more."""
    counts = fuzz(20_000, 1_000_000)
    assert not counts["WRONG"], capsys.readouterr().out


ENDS = ("imported", "refused")


def test_a_side_that_would_be_too_long_is_refused_before_it_is_made() -> None:
    """A file may give any stride."""
    assert list(stuffed(3, 2, 1, -1)) == [-1, 0, -1, 1, -1]
    with pytest.raises(SpecError, match="spread over 2147483649 places; the limit is 4095"):
        stuffed(3, 1 << 30, 0, 0)
