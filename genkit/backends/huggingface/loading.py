"""From a model's name to an engine: where the checkpoint lies, loading it, and sharing what is loaded."""

from __future__ import annotations

import errno
import os
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from ...errors import ConfigError, ConnectionFailed, NotFound, PermissionDenied, Unsupported, suggest
from .. import store
from .engine import Engine

__all__ = ["Outline", "Place", "Source", "find", "here", "load", "outline"]

_PROBE_S = 10.0
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_ENOUGH = 10**9
# How files of tokenizers are called.
_TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "*.tiktoken")
# The hub's client changed its HTTP library between versions; its own error descends from that library's.
_NETWORK_ERRORS: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)


@dataclass(frozen=True, slots=True)
class Source:
    """What the user named: a model, and how to load it."""

    model: str
    device: str | None = None
    dtype: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint lies: a directory, or a hub id with a commit; `version` changes when the files do."""

    path: str
    local: bool
    version: Any = None


@dataclass(frozen=True, slots=True)
class Outline:
    """What a checkpoint says without its weights; the attributes are those of `Engine`."""

    tokenizer: Any
    context: int | None
    causal: bool
    defaults: dict[str, Any]


def find(source: Source) -> Place:
    """Return where a model is; the embedded one is fetched if it is not there yet.

    Raises:
        NotFound: If there is no such directory or hub id.
        ConnectionFailed: If it would have to come from the hub, and the hub cannot be reached.
        ConfigError: If the name can be neither, or a revision is asked for of what has none.
    """
    if source.model in store.MODELS:
        _check_revision(source, f"the embedded model {source.model!r} is one fixed file")
        return Place(str(store.pull(source.model)), local=True)
    return _directory(source) or _on_hub(source)


def here(source: Source) -> Place:
    """Return where a model is on this machine; nobody is asked, and nothing is fetched.

    Raises:
        Unsupported: If its tokenizer is not here.
        NotFound: If there is no such directory, and the name is no hub id.
        ConfigError: As from `find`.
    """
    name = source.model
    missing = f"the tokenizer of {name!r} is not on this machine, and nobody is asked for it here"
    if name in store.MODELS:
        _check_revision(source, f"the embedded model {name!r} is one fixed file")
        path = store.locate(name)
        if path is None:
            raise Unsupported(f"{missing}: 'genkit models pull {name}' loads the model")
        return Place(str(path), local=True)
    place = _directory(source)
    if place is not None:
        return place
    place = _cached(source)
    if place is None or not any(any(Path(place.path).glob(pattern)) for pattern in _TOKENIZERS):
        raise Unsupported(f"{missing}: a call loads it from the hub ('genkit models pull' loads the embedded model)")
    return place


def _check_revision(source: Source, why: str) -> None:
    if source.revision is not None:
        raise ConfigError(f"revision={source.revision!r} is for models of the hub, and {why}: leave it out")


def _directory(source: Source) -> Place | None:
    """Return the directory of that name; None where the name is a hub id."""
    name = source.model
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            if not (path / "config.json").is_file():
                raise NotFound(f"the directory {name!r} holds no checkpoint: there is no config.json in it")
            _check_revision(source, f"{name!r} is a directory")
            return Place(str(path.resolve()), local=True, version=_fingerprint(path))
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # no such user after "~", a name too long, a file that goes as we look
        raise NotFound(f"there is no checkpoint directory {name[:100]!r}: {type(error).__name__}") from error
    if exists:
        raise ConfigError(f"{name!r} is a file; a checkpoint is a directory with config.json, weights and tokenizer")
    if name.startswith((".", "~")) or path.is_absolute() or not _HUB_ID.fullmatch(name):
        raise NotFound(f"there is no checkpoint directory {name!r}")
    return None


def _fingerprint(path: Path) -> tuple[Any, ...]:
    """Return what tells a directory whose files were replaced, by training on, say."""
    stats = [(file.name, file.stat()) for file in path.iterdir() if file.is_file()]
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))


def _on_hub(source: Source) -> Place:
    """Ask the hub once for the commit; where it cannot be reached, take what is in its cache.

    Left to themselves, its downloaders try an absent hub for half a minute.
    """
    name, revision = source.model, source.revision
    reason: BaseException
    if not constants.HF_HUB_OFFLINE:
        try:
            return Place(name, local=False, version=HfApi().model_info(name, revision=revision, timeout=_PROBE_S).sha)
        except GatedRepoError as error:
            raise PermissionDenied(
                f"the model {name!r} is gated: ask for access at the hub, then set HF_TOKEN"
            ) from error
        except RepositoryNotFoundError as error:
            raise NotFound(
                f"the hub has no model {name!r}{suggest(name, store.MODELS)} (a private one needs HF_TOKEN), "
                "and there is no directory of that name"
            ) from error
        except RevisionNotFoundError as error:
            raise NotFound(f"the model {name!r} has no revision {revision!r}") from error
        except HFValidationError as error:
            raise ConfigError(f"{name!r} is neither a directory nor a hub id: {error}") from error
        except _NETWORK_ERRORS as error:
            reason = error
    else:
        reason = ConnectionError("HF_HUB_OFFLINE is set")
    place = _cached(source)
    if place is None:
        raise ConnectionFailed(
            f"the model {name!r} is not in the hub's cache, and the hub ({constants.ENDPOINT}) cannot be reached: "
            f"{reason}; check the connection, name a checkpoint directory, or use 'smollm2'"
        ) from reason
    return place


def _cached(source: Source) -> Place | None:
    """Return where the hub's cache has a model, as far as it has it."""
    try:
        # Only the configuration is asked for: what else is missing is told by loading.
        config = snapshot_download(
            source.model, revision=source.revision, allow_patterns="config.json", local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None
    return Place(str(config), local=True)


_engines: weakref.WeakValueDictionary[tuple[Source, Place], Engine] = weakref.WeakValueDictionary()
_guard = threading.Lock()
_loading: dict[tuple[Source, Place], threading.Lock] = {}


def _after_fork() -> None:
    """Renew the locks in a forked child: the threads that may hold them exist in the parent only."""
    global _guard, _drawing  # a lock cannot be renewed otherwise
    _guard, _drawing = threading.Lock(), threading.Lock()
    _loading.clear()
    for engine in list(_engines.values()):
        engine.turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def load(source: Source, place: Place) -> Engine:
    """Return the engine of a model; the one that is loaded already, where there is one."""
    key = (source, place)
    with _guard:
        gate = _loading.setdefault(key, threading.Lock())
    with gate:
        engine = _engines.get(key)
        if engine is None:
            engine = _engines[key] = _load(source, place)
        return engine


def outline(source: Source, place: Place) -> Outline:
    """Return what a checkpoint on this machine says without its weights."""
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": source.trust_remote_code}
    with _loads(source, place):
        config = AutoConfig.from_pretrained(place.path, **options)
        tokenizer = _tokenizer(place, options)
        try:
            generation: Any = GenerationConfig.from_pretrained(place.path, **options)
        except OSError:  # there is no such file, as with models that embed
            generation = GenerationConfig.from_model_config(config)
    return Outline(
        tokenizer=tokenizer,
        context=_context(config, tokenizer, None),
        causal=_is_causal(config),
        defaults=_stated(generation),
    )


def _tokenizer(place: Place, options: dict[str, Any]) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(place.path, **options)
    # As if it had warned of a long text already: its warning would come before our error, for every text.
    warned = getattr(tokenizer, "deprecation_warnings", None)
    if isinstance(warned, dict):
        warned["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def _stated(generation: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {} if generation is None else generation.to_dict()
    return {name: value for name, value in settings.items() if value is not None}


def _load(source: Source, place: Place) -> Engine:
    device = _device(source.device)
    options: dict[str, Any] = {"local_files_only": place.local, "trust_remote_code": source.trust_remote_code}
    if not place.local:
        options["revision"] = place.version
    with _loads(source, place):
        config = AutoConfig.from_pretrained(place.path, **options)
        tokenizer = _tokenizer(place, options)
        causal = _is_causal(config)
        kind: Any = AutoModelForCausalLM if causal else AutoModel
        with _quiet(place.local):
            model, told = kind.from_pretrained(
                place.path, config=config, dtype=_dtype(source.dtype), output_loading_info=True, **options
            )
        _check_whole(told)
        model = model.to(device).eval()
    defaults = _stated(getattr(model, "generation_config", None))
    return Engine(
        model=model,
        tokenizer=tokenizer,
        context=_context(config, tokenizer, model),
        ends=_ends(defaults, tokenizer),
        causal=causal,
        defaults=defaults,
        size=sum(parameter.numel() for parameter in model.parameters()),
    )


def _check_whole(told: dict[str, Any]) -> None:
    """Refuse a checkpoint without some of its weights: transformers only logs it, and makes up random ones."""
    made_up = [*told.get("missing_keys", ()), *told.get("mismatched_keys", ())]
    # An encoder's pooler is often left out of a checkpoint, and nothing here uses it.
    lost = sorted(str(name) for name in made_up if "pooler." not in str(name))
    if lost:
        raise ValueError(f"the checkpoint lacks {len(lost)} weights of the model, such as {', '.join(lost[:3])}")


@contextmanager
def _loads(source: Source, place: Place) -> Iterator[None]:
    """Turn what transformers raises, which is of every class, into one error."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ConfigError(f"no space left for the model {source.model!r}: {error}") from error
        advice = ""
        if "trust_remote_code" in str(error):
            advice = "; it brings its own code: pass trust_remote_code=True if you trust whoever wrote it"
        where = place.path if place.local else f"the hub's {place.path}"
        raise ConfigError(
            f"the model {source.model!r} cannot be loaded from {where}: {type(error).__name__}: {error}{advice}"
        ) from error


# Its functions carry no types.
_bars: Any = transformers_logging
_drawing = threading.Lock()


@contextmanager
def _quiet(local: bool) -> Iterator[None]:
    """Switch off the bar that transformers draws for each file of weights; that of a download stays."""
    if not local or not _bars.is_progress_bar_enabled():
        yield
        return
    with _drawing:
        _bars.disable_progress_bar()
        try:
            yield
        finally:
            _bars.enable_progress_bar()


def _device(name: str | None) -> torch.device:
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used: {error}; leave it out to take the best there is") from error
    return device


def _dtype(name: str | None) -> Any:
    if name is None:
        return "auto"
    dtype = getattr(torch, name, None)
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ConfigError(f"dtype {name!r} is unknown; known: float32, bfloat16, float16")
    return dtype


def _is_causal(config: Any) -> bool:
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return True
    if not config.architectures:
        return config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return any(name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() for name in config.architectures)


def _context(config: Any, tokenizer: Any, model: Any) -> int | None:
    stated = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(stated, int) and stated > 0:
        return stated - _unused_positions(model)
    longest = tokenizer.model_max_length
    return int(longest) if longest < _ENOUGH else None


def _unused_positions(model: Any) -> int:
    """Return how many of the stated positions no token can have.

    RoBERTa and its kin count positions from the one after the padding's: of 514 they use 512. Without its weights a
    model does not tell.
    """
    for module in () if model is None else model.modules():
        padding = getattr(module, "padding_idx", None)
        if padding is not None and getattr(module, "position_embeddings", None) is not None:
            return int(padding) + 1
    return 0


def _ends(settings: dict[str, Any], tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer: the generation config's, and the tokenizer's.

    Chat checkpoints tuned from base models often name the end of a turn in only one of the two.
    """
    stated = settings.get("eos_token_id")
    ends = stated if isinstance(stated, list) else [stated]
    return frozenset(int(end) for end in (*ends, tokenizer.eos_token_id) if end is not None)
