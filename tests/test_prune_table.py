"""The cost table: sums of the cycle model, files, and whole networks in the simulator."""

import json
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.layout import tensor_rows
from dscim.gateware.specs import ProductSpec, SocSpec
from dscim.host.cli import main
from dscim.host.compile import plan
from dscim.host.device.run.network import NetworkRun
from dscim.host.device.target import open_target
from dscim.host.network import INPUT, AveragePool, Network
from dscim.host.research.prune import operations, space
from dscim.host.research.prune.onchip import channels, cycles, memory, weight_rows
from dscim.host.research.prune.operations import Kind
from dscim.host.research.prune.table import CostTable, build, load
from tests import nodes

SPACE = space("fashion-mobilenet-v1")


@pytest.fixture(scope="module", name="table")
def _table() -> CostTable:
    return build(SPACE, SocSpec(), ProductSpec())


def random_structure(rng: np.random.Generator, where) -> tuple[int, ...]:
    return tuple(int(k) for k in rng.integers(0, 31, where.genes))


def random_network(where, structure, rng: np.random.Generator) -> Network:
    """A network of random integers with the structure's operations."""
    made = []
    for each in operations(where, structure):
        layer = each.layer
        given = [INPUT if name == "input" else name for name in each.inputs]
        window = {"kernel": layer.kernel, "stride": layer.stride, "padding": layer.padding}
        zero = next((node.output_zero for node in made if node.name == given[0]), 0)
        if each.kind in (Kind.CONVOLUTION, Kind.CLASSIFIER):
            make = nodes.depthwise if layer.depthwise else nodes.conv
            sizes = {} if layer.depthwise else {"outputs": layer.outputs}
            made.append(make(rng, each.name, given[0], layer.input, zero, **sizes, window=window))
        elif each.kind is Kind.ADD:
            zeros = tuple(
                next((node.output_zero for node in made if node.name == name), 0) for name in given
            )
            made.append(nodes.add(rng, each.name, tuple(given), zeros))
        else:
            made.append(AveragePool(each.name, (given[0],), zero, 1.0, kernel=layer.kernel))
    return Network("pruned", where.image, 1.0, 0, tuple(made))


def test_a_structure_is_the_sum_of_its_entries(table: CostTable) -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        structure = random_structure(rng, SPACE)
        assert table.total(SPACE, structure) == sum(
            cycles(SocSpec(), each) for each in operations(SPACE, structure)
        )


def test_the_file_gives_the_same_table(table: CostTable, tmp_path: Path) -> None:
    table.save(tmp_path / "t.json")
    again = load(tmp_path / "t.json", SPACE)
    assert (again.spec, again.product, again.space) == (table.spec, table.product, table.space)
    assert all(
        one.name == other.name
        and one.places == other.places
        and np.array_equal(one.cycles, other.cycles)
        for one, other in zip(table.entries, again.entries, strict=True)
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data.pop("entries"), "damaged"),
        (lambda data: data["entries"][0].update(cycles=[[1]]), "damaged"),
        (lambda data: data["entries"][0].update(places=[99]), "damaged"),
        (lambda data: data.update(space="resnet-50"), "resnet-50"),
        (lambda data: data.update(format="x"), "not a cost table"),
    ],
)
def test_a_wrong_file_is_one_sentence(table: CostTable, tmp_path: Path, spoil, words) -> None:
    table.save(tmp_path / "t.json")
    data = json.loads((tmp_path / "t.json").read_text())
    spoil(data)
    (tmp_path / "t.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=words):
        load(tmp_path / "t.json", SPACE)


def test_the_memory_is_what_the_plan_takes() -> None:
    """All weights as they are loaded, and the activation rows that the tensors take."""
    rng = np.random.default_rng(3)
    spec = SocSpec(channels=4096)
    for where in (SPACE, space("fashion-resnet8")):
        structure = random_structure(rng, where)
        done = operations(where, structure)
        (loaded,) = plan(random_network(where, structure, rng), ProductSpec(), spec).loads
        weighted = [each.layer for each in done if each.kind in (Kind.CONVOLUTION, Kind.CLASSIFIER)]
        rows = sum(weight_rows(spec, layer) for layer in weighted)
        held = sum(channels(spec, layer) for layer in weighted)
        assert rows * spec.macro.columns == 4 * len(loaded.weights)
        assert 16 * held == 4 * len(loaded.parameters)
        words = (memory(spec, done) - rows * spec.macro.columns - 16 * held) / 8
        assert words >= spec.banks * max(
            (1 + each.summed) * tensor_rows(each.layer.output, spec.banks)
            + tensor_rows(each.layer.input, spec.banks)
            for each in done
        )


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.json"
    assert (
        main(
            [
                "prune",
                "table",
                "--space",
                SPACE.name,
                "-o",
                str(out),
                "--length",
                "128",
                "--json",
                str(tmp_path / "r.json"),
            ]
        )
        == 0
    )
    made = load(out, SPACE)
    result = json.loads((tmp_path / "r.json").read_text())
    assert made.product.length == 128
    assert result["cycles"]["full"] == made.total(SPACE, SPACE.full)
    assert str(result["cycles"]["full"]) in capsys.readouterr().out
    encoding = ",".join(map(str, SPACE.encode(SPACE.full)))
    assert (
        main(["prune", "cost", "--space", SPACE.name, "--encoding", encoding, "--costs", str(out)])
        == 0
    )
    assert f", {made.total(SPACE, SPACE.full):,} cycles" in capsys.readouterr().out
    assert (
        main(
            [
                "prune",
                "cost",
                "--space",
                SPACE.name,
                "--encoding",
                encoding,
                "--costs",
                str(tmp_path / "r.json"),
            ]
        )
        == 2
    )
    assert "is not a cost table" in capsys.readouterr().err
    assert main(["prune", "table", "--space", "resnet-50", "-o", str(tmp_path / "no.json")]) == 2
    assert not (tmp_path / "no.json").exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion-mobilenet-v1", "fashion-resnet8"])
def test_whole_networks_take_the_predicted_cycles(name: str) -> None:
    """Random structures in the simulator, run as `dscim run` does, node by node.

    Equal, but for a cycle where a node's descriptors do not fit the memories at once and are
    started in two parts, and within 1 % where windows may wait for a residual.
    """
    where, spec = space(name), SocSpec()
    table = build(where, spec, ProductSpec())
    rng = np.random.default_rng(5)
    with open_target("sim", spec) as device:
        for structure in (where.full, random_structure(rng, where), where.least):
            network = random_network(where, structure, rng)
            images = nodes.random_image(rng, where.image)[None]
            run = NetworkRun([device], network, ProductSpec(), images, compare=False)
            for _ in run.execute(lambda *_: None):
                pass
            assert run.holds
            splits, unsure = len(run.program.loads) - 1, 0
            for each, layer in zip(operations(where, structure), run.layers, strict=True):
                wanted, busy = cycles(spec, each), layer.counters.cycles_busy
                near = wanted // 100 if each.summed else 0
                assert wanted - splits - near <= busy <= wanted + near, each.name
                unsure += near
            off = table.total(where, structure) - run.counters.cycles_busy
            assert -unsure <= off <= splits + unsure
