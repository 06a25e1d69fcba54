"""What a call asks for and what its checkpoint says by itself, as one: how tokens are chosen, and how many at most."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import ContextTooLong
from ...types import CallWarning, Settings

if TYPE_CHECKING:
    from .sampling import Sampling

__all__ = ["HARMLESS", "HONOURED", "OPTIONS", "UNDONE", "limit", "sampling", "undone"]

OPTIONS = frozenset(
    {"repetition_penalty", "no_repeat_ngram_size", "suppress_tokens", "min_p", "typical_p", "epsilon_cutoff"}
)
"""Options of transformers' generation that are done here, whether the checkpoint or `extra={"hf": {...}}` has them."""

HONOURED = OPTIONS | {"do_sample", "temperature", "top_p", "top_k", "max_new_tokens", "max_length", "eos_token_id"}
"""What of a checkpoint's generation config is done."""

_BEAMS = frozenset({"num_beam_groups", "diversity_penalty", "length_penalty", "early_stopping"})

UNDONE = _BEAMS | {
    *("num_beams", "num_return_sequences", "penalty_alpha", "dola_layers", "guidance_scale", "token_healing"),
    *("top_h", "eta_cutoff", "encoder_repetition_penalty", "encoder_no_repeat_ngram_size", "sequence_bias"),
    *("bad_words_ids", "force_words_ids", "constraints", "begin_suppress_tokens", "watermarking_config"),
    *("forced_bos_token_id", "forced_eos_token_id", "exponential_decay_length_penalty"),
    *("min_length", "min_new_tokens", "max_time", "stop_strings"),
}
"""What of it would change an answer, and is not done; a response's note says so."""

HARMLESS = frozenset(
    {
        *("use_mtp", "use_cache", "cache_implementation", "cache_config", "max_cache_len", "low_memory"),
        *("renormalize_logits", "remove_invalid_values", "pad_token_id", "bos_token_id", "decoder_start_token_id"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate"),
        *("is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"),
        *("assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
        *("prompt_lookup_num_tokens", "max_matching_ngram_size", "speculation_type", "prefill_chunk_size"),
        *("compile_config", "disable_compile", "continuous_batching_config", "transformers_version"),
        "_from_model_config",
    }
)
"""What of it only makes an answer faster, or what comes beside it."""

_LONGEST_ANSWER = 1024
_LONGEST_VALUE = 60


def undone(defaults: dict[str, Any]) -> CallWarning | None:
    """Return what a checkpoint's generation config asks for and does not get; None where that is nothing."""
    beams = (defaults.get("num_beams") or 1) > 1
    found = [
        f"{name}={_short(defaults[name])}"
        for name in sorted(UNDONE & defaults.keys())
        if (beams or name not in _BEAMS) and not _neutral(name, defaults[name])
    ]
    if not found:
        return None
    message = f"the checkpoint's generation config asks for {', '.join(found)}, which this backend does not do"
    return CallWarning(kind="note", subject="generation_config", message=message)


def _neutral(name: str, value: Any) -> bool:
    return not value or (value == 1 and not name.startswith("min_"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def sampling(own: dict[str, Any], settings: Settings, extra: dict[str, Any]) -> Sampling:
    """Return how tokens are chosen: by the call's settings and options, else by the checkpoint's `own`."""
    temperature = settings.temperature
    if temperature is None and own.get("do_sample"):
        temperature = own.get("temperature", 1.0)
    elif temperature is None:
        temperature = 0.0 if settings.top_p is None and settings.top_k is None else 1.0
    more = {name: own[name] for name in OPTIONS if own.get(name) and own[name] != 1.0}
    more |= {name: value for name, value in extra.items() if name in OPTIONS and value is not None}
    reported = settings.logprobs is not False and (settings.logprobs or settings.top_logprobs)
    module: Any = import_module(f"{__package__}.sampling")
    made: Sampling = module.Sampling(
        temperature=temperature,
        top_p=settings.top_p if settings.top_p is not None else own.get("top_p"),
        top_k=settings.top_k or own.get("top_k") or None,
        seed=settings.seed,
        presence_penalty=settings.presence_penalty or 0.0,
        frequency_penalty=settings.frequency_penalty or 0.0,
        top_logprobs=(settings.top_logprobs or 0) if reported else None,
        more=more,
    )
    return made


def limit(own: dict[str, Any], context: int | None, asked: int | None, prompt: int) -> int:
    """Return how many tokens the answer to a prompt of so many tokens may have.

    Raises:
        ContextTooLong: If the model has no room for them.
    """
    room = None if context is None else context - prompt
    wanted = asked or 1
    if room is not None and wanted > room:
        answer = f"with max_tokens={asked} that is {prompt + asked}" if asked else "which leaves no room for an answer"
        raise ContextTooLong(f"the prompt has {prompt} tokens, {answer}, and the model takes {context}")
    if asked is not None:
        return asked
    usual: int = own.get("max_new_tokens") or max((own.get("max_length") or 0) - prompt, 0) or _LONGEST_ANSWER
    return usual if room is None else min(usual, room)
