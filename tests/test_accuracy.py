"""The table of accuracies: each figure is what the network's own outputs give."""

import json

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec
from dscim.host.cli import main
from dscim.host.network import Evaluator, predictions, save
from dscim.host.research import accuracy
from tests.small_network import small_images, small_network


def table(monkeypatch, folder, *more):
    """The exit status of `dscim dev accuracy` in `folder`, with one arithmetic only."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(accuracy, "ARITHMETICS", (ProductSpec(length=64),))
    files = ["n.npz", "--train", "x.npy", "--test", "x.npy", "--labels", "y.npy"]
    return main(["dev", "accuracy", *files, *more])


def test_rows_are_the_networks_own_accuracies(monkeypatch, tmp_path):
    network = small_network()
    tuned = small_network(seed=9, arithmetic=ProductSpec(length=64))
    images = small_images(12)
    labels = predictions(Evaluator(network, ProductSpec(exact=True)).outputs(images))
    labels[0] = (labels[0] + 1) % 4
    save(network, tmp_path / "n.npz")
    save(tuned, tmp_path / "t.npz")
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", labels)
    assert table(monkeypatch, tmp_path, "--tuned", "t.npz", "--json", "r.json") == 0
    exact, row = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert exact["as_is"] == pytest.approx(11 / 12)
    for name, each in (("as_is", network), ("fine_tuned", tuned)):
        chosen = predictions(Evaluator(each, ProductSpec(length=64)).outputs(images))
        assert row[name] == pytest.approx(np.mean(chosen == labels))
    assert 0 <= row["calibrated"] <= 1
    measured = []
    monkeypatch.setattr(accuracy, "accuracy", lambda *values: measured.append(values) or 0.5)
    assert table(monkeypatch, tmp_path, "--tuned", "t.npz", "--json", "r.json") == 0
    again = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert again == [exact, row] and not measured
    save(small_network(seed=8, arithmetic=ProductSpec(length=64)), tmp_path / "t.npz")
    assert table(monkeypatch, tmp_path, "--tuned", "t.npz", "--json", "r.json") == 0
    again = json.loads((tmp_path / "r.json").read_text())["rows"][1]
    assert again["fine_tuned"] == 0.5 and again["calibrated"] == row["calibrated"]
    assert len(measured) == 1 and again["fine_tuned_sha256"] != row["fine_tuned_sha256"]
    np.save(tmp_path / "y.npy", labels[::-1])  # other labels: everything is computed again
    assert table(monkeypatch, tmp_path, "--tuned", "t.npz", "--json", "r.json") == 0
    assert len(measured) == 1 + 4
    (tmp_path / "r.json").write_text("[1]")
    assert table(monkeypatch, tmp_path, "--json", "r.json") == 2


def test_a_missing_file_is_one_sentence(monkeypatch, tmp_path, capsys):
    assert table(monkeypatch, tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
