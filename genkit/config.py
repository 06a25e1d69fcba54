"""What is configured when the code does not say: which model `LLM()` means."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping

from .backends.services import SERVICES
from .errors import ConfigError

__all__ = ["EMBEDDED", "default_model"]

EMBEDDED = "hf:smollm2"
MODEL_VARIABLE = "GENKIT_LLM_MODEL"
ENVIRONMENT_VARIABLE = "GENKIT_LLM_ENV"

_PRODUCTION = frozenset({"production", "prod"})
# Credentials of vendors that have no row among the OpenAI-compatible services.
_OTHER_KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")

_announced = threading.Event()


def default_model(environ: Mapping[str, str] = os.environ) -> str:
    """Return the model of `LLM()`: that of GENKIT_LLM_MODEL, or the embedded one, announced once on stderr.

    Raises:
        ConfigError: If this looks like a place where a 135M model would be a mistake: GENKIT_LLM_ENV is "production" or
            "prod", or a vendor's key is set and no model chosen.
    """
    if model := environ.get(MODEL_VARIABLE):
        return model
    way_out = (
        f"name one, as in LLM('openai:gpt-5-mini'), or set {MODEL_VARIABLE}; the embedded model is LLM('{EMBEDDED}')"
    )
    place = environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if place.lower() in _PRODUCTION:
        raise ConfigError(f"LLM() without a model, and {ENVIRONMENT_VARIABLE}={place}: {way_out}")
    keys = dict.fromkeys([*(key for service in SERVICES.values() for key in service.key_env), *_OTHER_KEYS])
    if found := [key for key in keys if environ.get(key)]:
        raise ConfigError(f"LLM() without a model, but {found[0]} is set: {way_out}")
    announce(EMBEDDED)
    return EMBEDDED


def announce(model: str) -> None:
    """Say once per process, on stderr, that the embedded model answers and how to choose another."""
    # Without a standard error, print would take standard output.
    if sys.stderr is not None and not _announced.is_set():
        _announced.set()
        print(
            f"genkit: no model is configured, so {model} (SmolLM2-135M, on this machine) answers; choose another with "
            f"LLM('backend:model') or {MODEL_VARIABLE}",
            file=sys.stderr,
        )
