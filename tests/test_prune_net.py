"""The PruningNet: what it generates, crops, normalises and exports."""

import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")
torch.set_num_threads(1)  # two would wait for each other on a loaded machine

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from dscim.host.research.prune import RATIOS, SPACES, operations, parameters, space  # noqa: E402
from dscim.host.research.prune.generated import Generator, PruningNet, Shared  # noqa: E402
from dscim.host.research.prune.mobilenet import mobilenet_v1, mobilenet_v2  # noqa: E402
from dscim.host.research.prune.plain import PlainNet  # noqa: E402
from dscim.host.research.prune.resnet import basic_net, bottleneck_net  # noqa: E402
from dscim.host.research.prune.space import Site  # noqa: E402

TINY = {
    "v1": mobilenet_v1("v1", (8, 8, 3), 5, ((12, 1), (20, 2), (24, 1))),
    "v2": mobilenet_v2("v2", (16, 16, 3), 5, 10, ((12, 1, 1, 1), (14, 2, 2, 3)), 20),
    "bottleneck": bottleneck_net("b", (32, 32, 3), 5, 16, ((24, 2, 1), (40, 2, 2))),
    "basic": basic_net("r", (8, 8, 1), 5, ((11, 1, 1), (17, 2, 2))),
}
"""A small network of each kind."""


def structures(where):
    return st.tuples(*[st.integers(0, RATIOS - 1)] * where.genes)


@pytest.fixture(scope="module", params=[*TINY, "shared v1"], name="pair")
def _pair(request):
    torch.manual_seed(1)
    where = TINY[request.param.removeprefix("shared ")]
    net = PruningNet(where, Shared if request.param.startswith("shared") else Generator)
    with torch.no_grad():  # batch norms with varied parameters
        for name, value in [*net.named_parameters(), *net.named_buffers()]:
            if "norm" in name and value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return where, net


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_export_gives_equal_outputs(pair, data) -> None:
    """Not nearly: bit for bit, in evaluation and in training."""
    where, net = pair
    structure = data.draw(structures(where))
    x = torch.rand(3, where.image[2], *where.image[:2])
    for training in (False, True):
        net.train(training)
        plain = net.export(structure)
        with torch.no_grad():
            assert torch.equal(net(x, structure), plain(x))
        net.eval()


def test_the_exported_network_has_the_costs_on_paper(pair) -> None:
    where, net = pair
    plain = net.export(where.least)
    assert sum(p.numel() for p in plain.parameters()) == parameters(operations(where, where.least))
    assert all(torch.isfinite(p).all() for p in plain.parameters())


@settings(deadline=None, max_examples=25)
@given(
    inputs=st.integers(1, 9),
    outputs=st.integers(1, 7),
    depthwise=st.booleans(),
    kernel=st.sampled_from([1, 3]),
)
def test_a_crop_before_equals_a_crop_after(inputs, outputs, depthwise, kernel) -> None:
    site = Site("x", 0, 1, kernel, 1, (0, 1), depthwise=depthwise)
    generator = Generator(site, 9, 7)
    code = torch.tensor([0.4, 0.7])
    whole = generator(code, 9, 7)
    cropped = generator(code, inputs, outputs)
    assert whole.shape == (7, 1 if depthwise else 9, kernel, kernel)
    assert torch.allclose(cropped, whole[:outputs, :inputs], rtol=1e-6, atol=1e-7)
    assert cropped.shape == whole[:outputs, :inputs].shape


def test_only_the_own_batch_norms_move(pair) -> None:
    where, net = pair
    structure = tuple(range(3, 3 + where.genes))
    before = {name: value.clone() for name, value in net.named_buffers()}
    net.train()
    net(torch.rand(4, where.image[2], *where.image[:2]), structure)
    net.eval()
    ids = where.ratio_ids(structure)
    own = {f"sites.{name}.norms.{ids[made.site.outputs]}" for name, made in net.sites.items()}
    moved = {
        name.rpartition(".")[0]
        for name, value in net.named_buffers()
        if not torch.equal(value, before[name])
    }
    assert moved == own


def test_every_generator_and_no_foreign_norm_gets_a_gradient(pair) -> None:
    where, net = pair
    net.zero_grad()
    net.train()
    net(torch.rand(4, where.image[2], *where.image[:2]), where.full).square().sum().backward()
    net.eval()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert all(".norms." in name and ".norms.30" not in name for name in without)


@pytest.mark.parametrize(
    ("name", "millions"), [("mobilenet-v1", 106.1), ("mobilenet-v2", 242.0), ("resnet-50", 776.1)]
)
def test_the_published_sizes(name: str, millions: float) -> None:
    with torch.device("meta"):
        net = PruningNet(space(name))
    size = sum(p.numel() for key, p in net.named_parameters() if ".norms." not in key)
    assert round(size / 1e6, 1) == millions


@pytest.mark.parametrize("name", SPACES)
def test_every_space_has_a_plain_network_of_its_costs(name: str) -> None:
    where = space(name)
    with torch.device("meta"):
        plain = PlainNet(where, where.full)
        height, width, channels = where.image
        assert plain(torch.rand(2, channels, height, width)).shape == (2, where.classes)
    assert sum(p.numel() for p in plain.parameters()) == parameters(operations(where, where.full))
