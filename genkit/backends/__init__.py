"""Which backends there are, and how one is found by name.

Adding a backend is one file and one row of `TABLE`; an OpenAI-compatible service is one row in `services.py`. Packages
of others register a class under the entry-point group `genkit.backends`. Nothing is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..errors import ConfigError, GenkitError, MissingExtra, UnknownBackend, UnknownSetting, suggest
from .base import Backend
from .services import SERVICES

__all__ = ["TABLE", "Backend", "Row", "find", "known", "load", "split"]

ENTRY_POINTS = "genkit.backends"

_WIRE = frozenset({"api_key", "base_url", "http_client", "proxy", "ca", "headers", "fetch", "max_bytes"})
_GOOGLE = _WIRE | {"client", "api_version", "families"}
_OPENAI = _WIRE | {"client", "api", "credential", "organization", "project", "families"}


@dataclass(frozen=True, slots=True)
class Row:
    """One backend.

    Attributes:
        target: "module:Class"; constructed as `Class(name=..., **options)`.
        options: The keywords its constructor takes beside `name`; None where only the constructor knows.
        needs: Modules that must be importable, with the extra that installs them.
        hint: What the part after the colon is, for error messages.
        default_model: The model of "name:" without one, where that makes sense.
    """

    target: str
    options: frozenset[str] | None = frozenset()
    needs: Mapping[str, str] = field(default_factory=dict)
    hint: str = "model"
    default_model: str | None = None


TABLE: dict[str, Row] = {
    "mock": Row("genkit.backends.mock:Mock", default_model="mock"),
    "hf": Row(
        "genkit.backends.huggingface:HuggingFace",
        frozenset({"device", "dtype", "revision", "trust_remote_code"}),
        {"torch": "huggingface", "transformers": "huggingface"},
        "smollm2, a checkpoint's path, or a hub id",
    ),
    "google": Row("genkit.backends.google:Google", _GOOGLE),
    "vertex": Row("genkit.backends.google:Google", _GOOGLE | {"project", "location", "credentials"}),
    "bedrock": Row(
        "genkit.backends.bedrock:Bedrock",
        _WIRE | {"region", "profile", "session", "client", "families"},
        {"botocore": "bedrock"},
        "a model's id, an inference profile's, or an ARN",
    ),
    **{name: Row("genkit.backends.openai:OpenAI", _OPENAI) for name in SERVICES},
}


def split(spec: str) -> tuple[str, str]:
    """Return backend and model of "backend:model", split at the first colon only.

    Raises:
        ConfigError: If there is no backend before a colon.
        UnknownBackend: If there is none of that name.
    """
    name, colon, model = spec.partition(":")
    if not colon or not name:
        raise ConfigError(
            f"model {spec!r:.80} must be written with its backend, as in 'openai:{spec[:40] or 'gpt-5-mini'}'; "
            f"backends: {', '.join(known())}"
        )
    row = find(name)
    if not model and row.default_model is None:
        raise ConfigError(f"model {spec!r} names no model after the colon ({row.hint})")
    return name, model or row.default_model or ""


def known() -> list[str]:
    """Return the names of all backends, those of other packages included."""
    return sorted({*TABLE, *(point.name for point in _entry_points())})


def find(name: str) -> Row:
    """Return the row of a backend.

    Raises:
        UnknownBackend: If neither `TABLE` nor an entry point has the name.
    """
    if name in TABLE:
        return TABLE[name]
    for point in _entry_points():
        if point.name == name:
            return Row(point.value, options=None)
    raise UnknownBackend(f"unknown backend {name!r:.80}{suggest(name, known())}; known: {', '.join(known())}")


def _entry_points() -> Iterable[Any]:
    # Costs a fifth of the whole import, and most programs never need it.
    metadata: Any = import_module("importlib.metadata")
    found: Iterable[Any] = metadata.entry_points(group=ENTRY_POINTS)
    return found


def load(name: str, **options: Any) -> Backend:
    """Import a backend and construct it.

    Args:
        name: A name of `TABLE`, or of an entry point.
        options: Keywords of its constructor. For a backend of `TABLE` they are checked before anything is imported.

    Raises:
        UnknownBackend: If there is no backend of that name.
        UnknownSetting: If it does not take one of the options.
        MissingExtra: If what it needs is not installed; the message is the command that installs it.
    """
    row = find(name)
    if row.options is None:
        return _foreign(name, row.target, options)
    if unknown := sorted(options.keys() - row.options):
        takes = f"it takes {', '.join(sorted(row.options))}" if row.options else "it takes none"
        raise UnknownSetting(
            f"backend {name!r} has no option {unknown[0]!r}{suggest(unknown[0], row.options)}; {takes}", backend=name
        )
    module, _, attribute = row.target.partition(":")
    try:
        kind: Any = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = row.needs.get(missing)
        if extra is None:
            raise
        raise MissingExtra(
            f"backend {name!r} needs {missing!r}: pip install 'genkit-llm[{extra}]'", backend=name
        ) from error
    backend: Backend = kind(name=name, **options)
    return backend


def _foreign(name: str, target: str, options: Mapping[str, Any]) -> Backend:
    """Construct a backend of another package, whose import and constructor may fail as they like."""
    module, _, attribute = target.partition(":")
    try:
        backend: Backend = getattr(import_module(module), attribute)(name=name, **options)
    except GenkitError:
        raise
    except Exception as error:
        raise ConfigError(
            f"backend {name!r} of entry point {target!r} cannot be made: {type(error).__name__}: {error}", backend=name
        ) from error
    return backend
