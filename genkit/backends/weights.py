"""A GGUF file as a checkpoint directory that transformers loads: weights, tokenizer, configuration.

Made for the one file that `store` fetches: a Llama of F32, Q4_1 and Q8_0 tensors with a byte-level BPE tokenizer. It
reads the file itself: the general way through transformers takes ten times as long, needs accelerate, and loses the
tokenizer's rule for digits.
Nothing here needs torch.

Source: GGUF specification version 3 (ggml); block layouts from ggml-quants.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Gguf", "Tensor", "convert", "dequantise"]

Array: TypeAlias = npt.NDArray[Any]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_F32, _Q4_1, _Q8_0 = 0, 3, 8
_BLOCK = 32
_BYTES = {_Q4_1: 20, _Q8_0: 34}
_SPECIAL = 3


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file: its shape with the slowest axis first, ggml's number of its type, and its bytes."""

    shape: tuple[int, ...]
    type: int
    data: memoryview


class Gguf:
    """An opened GGUF file: `metadata` by key and `tensors` by name. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._map)
        self.metadata: dict[str, Any] = {}
        self.tensors: dict[str, Tensor] = {}
        self._at = 0
        try:
            self._read(path)
        except BaseException:
            self.__exit__()
            raise

    def _read(self, path: Path) -> None:
        if self._map[:4] != b"GGUF":
            raise ValueError(f"{path} is no GGUF file")
        self._at = 4
        version, count, keys = self._one("I"), self._one("Q"), self._one("Q")
        if version != 3:
            raise ValueError(f"{path} is GGUF version {version}; 3 is understood")
        self.metadata = {self._string(): self._value(self._one("I")) for _ in range(keys)}
        infos = [self._info() for _ in range(count)]
        align = self.metadata.get("general.alignment", 32)
        start = -(-self._at // align) * align
        for name, shape, kind, offset in infos:
            begin = start + offset
            self.tensors[name] = Tensor(shape, kind, self._view[begin : begin + _size(shape, kind)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tensor in self.tensors.values():
            tensor.data.release()
        self.tensors.clear()
        self._view.release()
        self._map.close()

    def _one(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self._map, self._at)
        self._at += struct.calcsize("<" + code)
        return value

    def _string(self) -> str:
        length = self._one("Q")
        self._at += length
        return self._map[self._at - length : self._at].decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            inner, count = self._one("I"), self._one("Q")
            return [self._value(inner) for _ in range(count)]
        return self._one(_SCALARS[kind])

    def _info(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        axes = [self._one("Q") for _ in range(self._one("I"))]
        return name, tuple(reversed(axes)), self._one("I"), self._one("Q")


def _size(shape: tuple[int, ...], kind: int) -> int:
    count = math.prod(shape)
    if kind == _F32:
        return count * 4
    if kind in _BYTES:
        return count // _BLOCK * _BYTES[kind]
    raise ValueError(f"GGUF tensor type {kind} is not understood; F32, Q4_1 and Q8_0 are")


def dequantise(tensor: Tensor) -> Array:
    """Return the tensor's numbers as float32."""
    if tensor.type == _F32:
        return np.frombuffer(tensor.data, "<f4").reshape(tensor.shape).copy()
    blocks = np.frombuffer(tensor.data, np.uint8).reshape(-1, _BYTES[tensor.type])
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if tensor.type == _Q8_0:
        return (blocks[:, 2:].view(np.int8).astype(np.float32) * scale).reshape(tensor.shape)
    least = blocks[:, 2:4].copy().view("<f2").astype(np.float32)
    # The low halves of the bytes are the first 16 numbers of a block, the high halves the last 16.
    quants = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1).astype(np.float32)
    return (quants * scale + least).reshape(tensor.shape)


def convert(source: Path, target: Path, *, report: Callable[[int, int], None] = lambda _done, _total: None) -> None:
    """Write the model in `source` as a checkpoint into the directory `target`.

    Args:
        source: A GGUF file.
        target: An existing, empty directory.
        report: Told the bytes of weights written and to write.
    """
    with Gguf(source) as file:
        meta = file.metadata
        if meta.get("general.architecture") != "llama" or meta.get("tokenizer.ggml.pre") != "smollm":
            raise ValueError(f"{source} is not a Llama with SmolLM's tokenizer")
        _write_json(target / "config.json", _config(meta, tied="output.weight" not in file.tensors))
        _write_json(target / "generation_config.json", {"_from_model_config": True, **_special_ids(meta)})
        _write_json(target / "tokenizer.json", _tokenizer(meta), indent=None)
        _write_json(target / "tokenizer_config.json", _tokenizer_config(meta))
        (target / "chat_template.jinja").write_text(meta["tokenizer.chat_template"], encoding="utf-8", newline="\n")
        _write_weights(target / "model.safetensors", file, report)


def _write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent), encoding="utf-8", newline="\n")


def _special_ids(meta: dict[str, Any]) -> dict[str, int]:
    return {
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
    }


def _config(meta: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    epsilon = np.float32(meta["llama.attention.layer_norm_rms_epsilon"])
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": len(meta["tokenizer.ggml.tokens"]),
        "hidden_size": meta["llama.embedding_length"],
        "intermediate_size": meta["llama.feed_forward_length"],
        "num_hidden_layers": meta["llama.block_count"],
        "num_attention_heads": meta["llama.attention.head_count"],
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "max_position_embeddings": meta["llama.context_length"],
        "rms_norm_eps": float(str(epsilon)),
        "rope_theta": meta["llama.rope.freq_base"],
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        **_special_ids(meta),
    }


def _tokenizer(meta: dict[str, Any]) -> dict[str, Any]:
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    kinds: list[int] = meta["tokenizer.ggml.token_type"]
    added = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == _SPECIAL
    ]
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        # "smollm" in the file's words: each digit is a token, then GPT-2's rule.
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytes_only],
        },
        "post_processor": None,
        "decoder": {**bytes_only, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in meta["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_config(meta: dict[str, Any]) -> dict[str, Any]:
    tokens: list[str] = meta["tokenizer.ggml.tokens"]
    special = {name.removesuffix("_id"): tokens[index] for name, index in _special_ids(meta).items()}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": meta["llama.context_length"],
        "unk_token": tokens[meta["tokenizer.ggml.unknown_token_id"]],
        **special,
    }


_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def _hugging_face_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{_IN_LAYER[part]}.weight"


def _halves_apart(weight: Array, heads: int) -> Array:
    """Undo ggml's order of rotary pairs: neighbours there, first and second half of a head in transformers."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _arrays(file: Gguf) -> Iterator[Array]:
    heads = {
        "attn_q": file.metadata["llama.attention.head_count"],
        "attn_k": file.metadata["llama.attention.head_count_kv"],
    }
    for name, tensor in file.tensors.items():
        part = name.split(".")[-2]
        weight = dequantise(tensor)
        yield _halves_apart(weight, heads[part]) if part in heads else weight


def _write_weights(path: Path, file: Gguf, report: Callable[[int, int], None]) -> None:
    """Write safetensors: the length of a JSON header, the header, the tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in file.tensors.items():
        begin, end = end, end + math.prod(tensor.shape) * 4
        entry = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, end]}
        header[_hugging_face_name(name)] = entry
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    done = 0
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(written)) + written)
        for weight in _arrays(file):
            out.write(np.ascontiguousarray(weight, "<f4").data)
            done += weight.nbytes
            report(done, end)
