"""`dscim run --report`: the loss of each layer equals that computed in another way."""

import json

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference import contract
from dscim.host.network import Evaluator, Weighted, predictions, run, save
from dscim.host.research.losses import loss_report
from tests.commandline import assert_refused, dscim
from tests.small_network import small_images, small_network

SPEC = ProductSpec(length=64)
EXACT = ProductSpec(exact=True)


def test_the_report_is_what_the_contract_loses():
    network, images = small_network(), small_images(24)
    steps: list[tuple[str, int, int]] = []
    labels = np.arange(24) % 4
    report = loss_report(network, SPEC, images, labels, lambda *step: steps.append(step))
    noisy = {"input": images, **run(network, images, SPEC)}
    assert report.score == (predictions(noisy["classifier"]) == labels).mean()
    exact = run(network, images, EXACT)["classifier"]
    assert report.exact == (predictions(exact) == labels).mean()
    weighted = [node for node in network.nodes if isinstance(node, Weighted)]
    assert [layer.name for layer in report.layers] == [node.name for node in weighted]
    assert {step[0] for step in steps} >= {"exact", "as it is", "stem exact"}

    last, layer = (
        weighted[-1],
        next(layer for node, layer in network.layers(SPEC) if node.name == "classifier"),
    )
    x, w = noisy["pool"][:, 0, 0], last.weights[:, 0, 0].T
    true = (x.astype(np.int64) - last.input_zero) @ w.astype(np.int64)
    estimate = contract.product(x, w, layer.product, last.input_zero)
    unit = last.multiplier * 2.0 ** (last.shift - 31)
    snr = 10 * np.log10(
        (true * unit).var(axis=0).sum() / (((estimate - true) * unit) ** 2).mean(axis=0).sum()
    )
    assert report.layers[-1].snr == pytest.approx(snr, abs=1e-3)


def test_a_layer_alone_exact_is_that_layer_and_no_other():
    network, images = small_network(), small_images(8)
    now, exact = Evaluator(network, SPEC), Evaluator(network, EXACT)
    mixed = now.with_layers_of(exact, {"wide"})
    known = {"input": images, **mixed.nodes(images)}
    for node in network.nodes:
        source = exact if node.name == "wide" else now
        inputs = [known[name] for name in node.inputs]
        np.testing.assert_array_equal(known[node.name], source.node(node, inputs))
    everything = now.with_layers_of(exact, {node.name for node in network.nodes})
    np.testing.assert_array_equal(everything.outputs(images), exact.outputs(images))


def test_the_verb_prints_the_table_and_writes_it(tmp_path):
    save(small_network(arithmetic=ProductSpec(exact=True)), tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", small_images(6))
    done = dscim(
        "run",
        "net.npz",
        "images.npy",
        "--length",
        64,
        "--report",
        "--json",
        "r.json",
        folder=tmp_path,
    )
    assert done.returncode == 0
    assert "was tuned for exact INT8, not for ds-cim1, L = 64" in done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["settings"]["length"] == 64 and not result["settings"]["exact"]
    report = result["report"]
    assert report["measured"] == "agreement with exact" and report["exact"] == 1
    assert len(report["layers"]) == 5
    for layer in report["layers"]:
        assert f"{layer['snr']:.1f}" in done.stdout
    assert "what helps" in done.stdout


def test_a_report_of_the_exact_product_is_rejected(tmp_path):
    save(small_network(), tmp_path / "net.npz")
    np.save(tmp_path / "images.npy", small_images(2))
    done = dscim("run", "net.npz", "images.npy", "--exact", "--report", folder=tmp_path)
    assert_refused(done, "--report")
