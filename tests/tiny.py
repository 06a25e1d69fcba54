"""A language model of a few hundred kilobytes, made on the spot: a random Llama with a ChatML tokenizer.

What it says is noise, but it says it as a real checkpoint does: every file, every method, and the
same numbers on every run.

    model = checkpoint(tmp_path / "tiny")
    LLM(f"hf:{model}")
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

__all__ = ["CHATML", "NO_SYSTEM", "checkpoint"]

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Refuses a system message, as the templates of Gemma and the first Mistral do.
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)

_LINES = (
    "The quick brown fox jumps over the lazy dog.",
    "Say hello to the world, and tell me a short story about the sea.",
    "The capital of France is Paris; the capital of Norway is Oslo.",
    "def add(a, b):\n    return a + b",
    '{"name": "Ada", "age": 36, "tags": ["one", "two"]}',
    "Grüße aus Köln, naïve café, Ελλάδα, 東京, 🙂🙃",
    "one two three four five six seven eight nine ten 0 1 2 3 4 5 6 7 8 9",
)


def checkpoint(
    directory: str | os.PathLike[str],
    *,
    template: str | None = CHATML,
    context: int = 512,
    seed: int = 0,
    layers: int = 2,
) -> Path:
    """Write model, tokenizer and generation config to `directory`, and return it.

    Args:
        directory: Made if it is not there.
        template: The chat template; None for a checkpoint without one.
        context: Longest sequence the model takes.
        seed: Of the weights.
        layers: Depth of the model.
    """
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(template, context)
    tokenizer.save_pretrained(path)
    _model(tokenizer, context, seed, layers).save_pretrained(path)
    return path


def _tokenizer(template: str | None, context: int) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(_LINES * 4, trainer)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # has no annotations
        tokenizer_object=core,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def _model(tokenizer: PreTrainedTokenizerFast, context: int, seed: int, layers: int) -> LlamaForCausalLM:
    ids: dict[str, Any] = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        # Large enough that the likeliest token depends on the prompt and is no near tie.
        initializer_range=0.2,
        tie_word_embeddings=True,
        dtype="float32",
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    # SmolLM2 names both its end-of-turn and its padding token; stopping must know every one of a list.
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return model
