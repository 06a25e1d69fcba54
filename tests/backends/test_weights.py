"""From GGUF to a checkpoint, against the gguf package and against llama.cpp's order of rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")
pytest.importorskip("safetensors")
pytest.importorskip("tokenizers")

import gguf
import tokenizers
from safetensors import numpy as safetensors

from genkit.backends.weights import Gguf, convert, dequantise
from tests.backends import fake_wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    fake_wheel.write_gguf(path)
    return path


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    convert(source, path)
    return path


def test_metadata_and_tensors_are_those_that_the_gguf_package_reads(source: Path) -> None:
    reader = gguf.GGUFReader(source)
    with Gguf(source) as file:
        own = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
        assert file.metadata == own
        assert len(file.tensors) == len(reader.tensors)
        for tensor in reader.tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            found = dequantise(file.tensors[tensor.name])
            assert found.dtype == np.float32
            assert np.array_equal(found, expected.reshape(found.shape))


def test_the_weights_have_the_names_and_the_order_of_transformers(source: Path, made: Path) -> None:
    weights = safetensors.load_file(made / "model.safetensors")
    reader = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    assert len(weights) == len(reader)

    def stored(name: str) -> np.ndarray:
        return gguf.quants.dequantize(reader[name].data, reader[name].tensor_type)

    assert np.array_equal(weights["model.embed_tokens.weight"], stored("token_embd.weight"))
    assert np.array_equal(weights["model.layers.0.mlp.down_proj.weight"], stored("blk.0.ffn_down.weight"))
    for part, heads in (("q", fake_wheel.HEADS), ("k", fake_wheel.KEY_HEADS)):
        ours = weights[f"model.layers.0.self_attn.{part}_proj.weight"]
        # How llama.cpp orders the rows of a transformers checkpoint.
        theirs = ours.reshape(heads, 2, ours.shape[0] // heads // 2, ours.shape[1]).swapaxes(1, 2).reshape(ours.shape)
        assert np.array_equal(theirs, stored(f"blk.0.attn_{part}.weight"))


def test_the_configuration_is_that_of_the_file(made: Path) -> None:
    config = json.loads((made / "config.json").read_text(encoding="utf-8"))
    assert config["rms_norm_eps"] == 1e-5
    assert config["rope_theta"] == 10000.0
    assert config["tie_word_embeddings"] is True
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 2)
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["vocab_size"]) == (4, 2, 320)


def test_every_digit_is_a_token_and_the_spaces_before_it_stay_together(made: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(made / "tokenizer.json"))
    assert tokenizer.encode("the  12 the").tokens == ["t", "he", "ĠĠ", "1", "2", "Ġthe"]


def test_any_text_comes_back_from_its_tokens(made: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(made / "tokenizer.json"))
    for text in ("hello  world", "東京 🙂 ½", "\n\t x", "\x00\x7f"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_control_tokens_are_read_as_one_and_left_out_of_texts(made: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(made / "tokenizer.json"))
    ids = tokenizer.encode("<|im_start|>a<|im_end|>").ids
    assert (ids[0], ids[-1], len(ids)) == (1, 2, 3)
    assert tokenizer.decode(ids) == "a"


@pytest.mark.parametrize("content", [b"", b"GGML\x03\x00\x00\x00", b"GGUF\x02\x00\x00\x00" + b"\x00" * 16])
def test_another_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"empty|GGUF"):
        Gguf(path)
