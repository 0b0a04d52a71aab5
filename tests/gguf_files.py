"""A LLaMA small enough for tests, as a GGUF file."""

import struct

import numpy as np

WIDTH, HEADS, KEY_HEADS, HIDDEN, BLOCKS, VOCABULARY = 64, 4, 2, 192, 2, 32
ALIGNMENT = 32


def _string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value):
    """A value with its type before it."""
    match value:
        case str():
            return struct.pack("<I", 8) + _string(value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))


def _f32(values):
    return 0, values.astype("<f4").tobytes()


def _q8_0(values):
    blocks = values.reshape(-1, 32)
    scale = (np.abs(blocks).max(axis=1) / 127).astype("<f2")
    packed = np.zeros(len(blocks), [("d", "<f2"), ("q", "i1", 32)])
    packed["d"], packed["q"] = scale, np.rint(blocks / scale.astype(float)[:, None])
    return 8, packed.tobytes()


def _q4_1(values):
    blocks = values.reshape(-1, 32)
    least = blocks.min(axis=1)
    scale = (blocks.max(axis=1) - least) / 15
    codes = np.rint((blocks - least[:, None]) / scale[:, None]).astype(np.uint8)
    packed = np.zeros(len(blocks), [("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
    packed["d"], packed["m"], packed["q"] = scale, least, codes[:, :16] | codes[:, 16:] << 4
    return 3, packed.tobytes()


def tiny_llama(path, seed=0):
    """Writes the model with random weights of all three types; the path."""
    rng = np.random.default_rng(seed)
    keys = {
        "general.architecture": "llama",
        "llama.block_count": BLOCKS,
        "llama.embedding_length": WIDTH,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KEY_HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [chr(65 + i) for i in range(VOCABULARY)],
        "tokenizer.ggml.merges": [],
    }
    keyed = WIDTH // HEADS * KEY_HEADS
    shapes = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (keyed, WIDTH),
        "attn_v": (keyed, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (HIDDEN, WIDTH),
        "ffn_up": (HIDDEN, WIDTH),
        "ffn_down": (WIDTH, HIDDEN),
    }
    tensors = {
        "token_embd": ((VOCABULARY, WIDTH), _q8_0(rng.normal(size=(VOCABULARY, WIDTH)))),
        "output_norm": ((WIDTH,), _f32(1 + rng.normal(0, 0.1, WIDTH))),
    }
    for block in range(BLOCKS):
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{block}.{name}"] = ((WIDTH,), _f32(1 + rng.normal(0, 0.1, WIDTH)))
        for name, shape in shapes.items():
            values = rng.normal(0, shape[1] ** -0.5, shape)
            tensors[f"blk.{block}.{name}"] = (shape, _q4_1(values))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(_string(key) + _value(value) for key, value in keys.items())
    data = b""
    for name, (shape, (kind, packed)) in tensors.items():
        head += _string(f"{name}.weight") + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape[::-1]) + struct.pack("<IQ", kind, len(data))
        data += packed + b"\0" * (-len(packed) % ALIGNMENT)
    path.write_bytes(head + b"\0" * (-len(head) % ALIGNMENT) + data)
    return path
