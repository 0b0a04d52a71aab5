"""A float module becomes integers: correctly folded and fused, and exported bit for bit."""

import dataclasses

import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402

from dscim.errors import UserError  # noqa: E402
from dscim.gateware.specs import ProductSpec  # noqa: E402
from dscim.host.network import INPUT, Weighted, run  # noqa: E402
from dscim.host.network.datasets.pixels import IMAGENET_SCALING, Input  # noqa: E402
from dscim.host.research.calibrate import calibrate as calibrate_integers  # noqa: E402
from dscim.host.research.training import inputs  # noqa: E402
from dscim.host.research.training.calibrate import calibrate  # noqa: E402
from dscim.host.research.training.quantised import QuantisedNet  # noqa: E402
from dscim.host.research.training.revive import revive  # noqa: E402
from dscim.host.research.training.trace import trace  # noqa: E402

torch.set_num_threads(1)
EXACT = ProductSpec(exact=True)
PIXELS = Input.spanning(*IMAGENET_SCALING)


class Everything(nn.Module):
    """A small network with every supported operation."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(8, 16, 3, 1, 1, groups=8),
            nn.BatchNorm2d(16),
            nn.Hardtanh(0, 4),
            nn.Dropout(0.5),
        )
        self.project = nn.Conv2d(16, 8, 1)
        self.even = nn.Conv2d(8, 8, 3, padding="same")
        self.pools = nn.Sequential(
            nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        )
        self.hidden, self.last = nn.Linear(8 * 4 * 4, 10), nn.Linear(10, 7)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.project(self.depthwise(x))
        x = torch.relu(self.even(x) + x)
        x = torch.flatten(self.pools(x), 1)
        return self.last(nn.functional.relu(self.hidden(x)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(5)
    model = Everything()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(16, 3, 16, 16))
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (8, 16, 16, 3), generator=torch.Generator().manual_seed(4)).byte()


def quantised(steps, images, spec):
    net = QuantisedNet(steps, spec, PIXELS)
    calibrate(net, images)
    return net.eval()


def test_real_numbers_stay_the_modules(model, images):
    net = QuantisedNet(trace(model, (16, 16, 3)), EXACT, PIXELS)
    with torch.no_grad():
        wanted = model(inputs.real(PIXELS, images))
        got = list(net.real(images).values())[-1].flatten(1)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
        calibrate(net, images)
        assert (net(images) - wanted).std() < 0.1 * wanted.std()


@pytest.mark.parametrize("spec", [EXACT, ProductSpec(length=256), ProductSpec(64, 256)])
def test_the_exported_network_is_the_forward_pass_bit_for_bit(model, images, spec):
    net = quantised(trace(model, (16, 16, 3)), images, spec)
    signals = net.signals(images[:3])
    network = net.export("test", (16, 16, 3), (), {})
    outputs = run(network, PIXELS.integers(images[:3].numpy()))
    assert set(outputs) == set(signals) - {INPUT}
    for name, output in outputs.items():
        wanted = (signals[name].value + signals[name].zero).detach().permute(0, 2, 3, 1)
        assert np.array_equal(output, wanted.numpy()), name
        assert len(np.unique(output)) > 1 or not spec.exact, name
    assert Input.of(network) == PIXELS


@pytest.mark.parametrize("spec", [EXACT, ProductSpec(length=64), ProductSpec(64, 256)])
def test_a_revived_network_is_exported_as_it_was(model, images, spec):
    """Its integers equal those of the file, shifts and stretches too; factors to float32."""
    pixels = PIXELS.integers(images.numpy())
    network = quantised(trace(model, (16, 16, 3)), images, EXACT).export("t", (16, 16, 3), (), {})
    if not spec.exact:
        network = calibrate_integers(network, pixels, spec)
        longer = [
            dataclasses.replace(node, stretch=2) if node.name == "project" else node
            for node in network.nodes
        ]
        network = dataclasses.replace(network, nodes=tuple(longer))
        assert any(getattr(node, "activation_shift", 0) for node in network.nodes)
    again = QuantisedNet(revive(network, saturating=False), spec, PIXELS).eval()
    made = again.export("t", (16, 16, 3), (), {})
    before, after = run(network, pixels), run(made, pixels)
    for node, new in zip(network.nodes, made.nodes, strict=True):
        if isinstance(node, Weighted):
            assert (node.activation_shift, node.stretch) == (new.activation_shift, new.stretch)
            assert np.array_equal(node.weights, new.weights)
        apart = abs(before[node.name].astype(int) - after[new.name])
        assert apart.max() <= 1 and apart.mean() < 0.002, node.name


def test_gradients_reach_every_weight(model, images):
    net = quantised(trace(model, (16, 16, 3)), images, ProductSpec(length=256))
    net.round_as_kernels(False)
    nn.functional.cross_entropy(net(images), torch.arange(8) % 7).backward()
    without = [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


class Says(nn.Module):
    """A convolution, followed by a function."""

    def __init__(self, function):
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(3, 4, 3)
        self.norm, self.groups = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1, groups=2)
        self.pool = nn.AvgPool2d(2, padding=1)

    def forward(self, x):
        return self.function(self, self.conv(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: torch.sigmoid(x), "sigmoid has no integer form"),
        (lambda m, x: x * 2, "mul has no integer form"),
        (lambda m, x: x + 1, "not a tensor of the network|does not add two tensors"),
        (lambda m, x: m.norm(torch.relu(x)), "only be folded into a convolution"),
        (lambda m, x: torch.relu(x) + x, "only be folded into a convolution"),
        (lambda m, x: m.groups(x), "groups 2"),
        (lambda m, x: m.pool(x), "counted padding"),
        (lambda m, x: x.mean(1), "not height and width"),
        (lambda m, x: (x, x), "must return one tensor"),
    ],
)
def test_what_has_no_integer_form_is_named(function, message):
    with pytest.raises(UserError, match=message):
        trace(Says(function), (8, 8, 3))
