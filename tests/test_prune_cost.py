"""Structure spaces, encodings and costs, compared with the published figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.host.cli import main
from dscim.host.research.prune import RATIOS, SPACES, Structure, macs, operations, parameters, space
from dscim.host.research.prune.operations import Kind

GOLDEN = [
    ("mobilenet-v1", ",".join(["30"] * 13), "568.74 M MACs, 4.232 M parameters"),
    ("mobilenet-v1", "28,18,10,23,23,22,22,13,17,28,17,25,29", "313.21 M MACs, 3.280 M parameters"),
    ("mobilenet-v2", ",".join(["30"] * 35), "569.52 M MACs, 5.313 M parameters"),
    (
        "mobilenet-v2",
        "14,12,11,11,8,8,8,7,7,7,7,8,8,8,14,14,14,8,6,5,2,15,7,17,14,5,11,12,12,11,6,16,14,13,14",
        "104.87 M MACs, 2.230 M parameters",
    ),
    ("resnet-50", ",".join(["30"] * 20), "4089.18 M MACs, 25.557 M parameters"),
    (
        "resnet-50",
        "19,9,15,13,10,9,10,6,9,13,11,12,7,18,7,13,12,10,19,18",
        "1027.55 M MACs, 10.567 M parameters",
    ),
    (
        "resnet-50",
        "23,17,16,17,16,16,18,20,18,25,11,29,22,18,13,27,17,23,23,20",
        "1989.93 M MACs, 15.713 M parameters",
    ),
]
"""Space, written encoding, and what `dscim prune cost` prints."""


def structure(name: str, encoding: str) -> Structure:
    return space(name).decode(tuple(map(int, encoding.split(","))))


@pytest.mark.parametrize(("name", "encoding", "wanted"), GOLDEN)
def test_the_published_costs(name: str, encoding: str, wanted: str) -> None:
    done = operations(space(name), structure(name, encoding))
    assert f"{macs(done) / 1e6:.2f} M MACs, {parameters(done) / 1e6:.3f} M parameters" == wanted


@pytest.mark.parametrize(("name", "encoding", "wanted"), GOLDEN)
def test_the_command_prints_them(
    name: str, encoding: str, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.json"
    assert (
        main(["prune", "cost", "--space", name, "--encoding", encoding, "--json", str(file)]) == 0
    )
    assert capsys.readouterr().out == f"{wanted}\n"
    result = json.loads(file.read_text())
    assert ",".join(map(str, result["encoding"])) == encoding
    assert sum(each["macs"] for each in result["operations"]) == result["macs"]


def test_the_published_widths() -> None:
    v1 = space("mobilenet-v1")
    assert v1.channels(structure("mobilenet-v1", GOLDEN[1][1]))[1:] == (
        30,
        40,
        51,
        101,
        202,
        194,
        389,
        250,
        312,
        481,
        312,
        435,
        993,
        1024,
    )
    assert space("resnet-50").channels(structure("resnet-50", GOLDEN[5][1]))[1:] == (
        42,
        94,
        281,
        501,
        2048,
        25,
        23,
        25,
        35,
        47,
        62,
        55,
        117,
        79,
        163,
        79,
        125,
        117,
        204,
        343,
        327,
    )


def test_channels_are_those_of_floating_point_ratios() -> None:
    """int(base * ratio), as the published code has it, for every width of every space."""
    for name in SPACES:
        for width in space(name).widths:
            if width.gene is not None:
                assert all(
                    width.channels(k) == int(width.base * ((10 + 3 * k) / 100))
                    for k in range(RATIOS)
                ), (name, width)


@settings(deadline=None)
@given(st.sampled_from(list(SPACES)), st.data())
def test_operations_fit_together(name: str, data: st.DataObject) -> None:
    """Each takes the output of the one before; adds take equal shapes; encodings round-trip."""
    where = space(name)
    chosen = tuple(
        data.draw(st.lists(st.integers(0, 30), min_size=where.genes, max_size=where.genes))
    )
    assert where.decode(where.encode(chosen)) == chosen
    shapes = {"input": where.image}
    done = operations(where, chosen)
    for each in done:
        assert all(shapes[given] == each.layer.input for given in each.inputs), each.name
        assert len(each.inputs) == (2 if each.kind is Kind.ADD else 1)
        shapes[each.name] = each.layer.output
    assert len(shapes) == len(done) + 1
    assert shapes["classifier"] == (1, 1, where.classes)


def test_shapes_of_small_networks() -> None:
    """ResNet-8 is MLPerf Tiny's, 78,042 parameters and 12.5 M products."""
    done = operations(space("cifar10-resnet8"), space("cifar10-resnet8").full)
    assert (parameters(done), macs(done)) == (78_042, 12_501_632)
    small = operations(space("cifar10-mobilenet-v1"), space("cifar10-mobilenet-v1").full)
    assert 1e6 < macs(small) < 3e6


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        ("mobilenet-v1", "1,2", ("2 ratio ids", "13")),
        ("mobilenet-v1", ",".join(["31"] * 13), ("31", "0..30")),
        ("mobilenet-v2", ",".join(map(str, range(30))) + ",1,2,3,4,5", ("meet at a shortcut",)),
        ("mobilenet-v1", "1,b", ("'1,b'",)),
        ("vgg", "1", ("'vgg'", "mobilenet-v1")),
        ("resnet50", "1", ("'resnet50'", "did you mean resnet-50?")),
    ],
)
def test_wrong_uses(
    name: str, encoding: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", "cost", "--space", name, "--encoding", encoding]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words)


def test_a_structure_of_another_space_is_refused() -> None:
    with pytest.raises(UserError, match="20"):
        space("resnet-50").decode((1,) * 13)


def test_costs_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from dscim.host.cli import main\n"
        "sys.exit(main(['prune', 'cost', '--space', 'resnet-50', '--encoding', 'full']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "4089.18 M MACs, 25.557 M parameters\n", done.stderr
