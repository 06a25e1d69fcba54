"""What an `LLM` may be made with: the keywords by name, sorted by what they are for, and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from .backends import Backend, find
from .backends.options import check_options
from .errors import ConfigError, UnknownSetting, suggest
from .prompts import CallDict
from .types import FetchPolicy, Settings

if TYPE_CHECKING:
    from .llm import LLM

__all__ = ["ASKING", "Options", "carried", "check", "part", "separate"]


class Options(CallDict, total=False):
    """Everything an `LLM` may be made with: connection, policies, and what its calls say by default.

    Attributes:
        api_key: Credential, or a function that returns a fresh one; by default from the vendor's environment variable.
        base_url: Another server that speaks the same API.
        client: An official client whose address and identity are taken over.
        http_client: An `httpx` or `httpx2` client to send through.
        proxy: URL of a proxy; by default from the environment.
        ca: Certificates to trust: a file, a directory, or an `ssl.SSLContext`.
        headers: Further HTTP headers.
        max_bytes: Longest answer to read, in bytes; by default 256 MiB.
        fetch: What may be fetched for a vendor that takes no URLs: a `FetchPolicy`, or False for nothing.
        api: Which of the vendor's interfaces: "auto", "responses" or "chat".
        credential: A token source (Azure).
        organization: Whom OpenAI bills.
        project: Its project there, or Google Cloud's.
        location: Where Vertex AI runs the model.
        credentials: An object of google-auth (Vertex AI).
        api_version: Version of Google's API.
        families: Rows that say what a vendor's models can do, looked at before the built-in ones.
        region: AWS's region of Bedrock.
        profile: The profile of AWS's files that signs in there.
        session: Or a session of boto3 or botocore.
        device: Where a local model runs: "cpu", "cuda", "mps".
        dtype: Its number format: "float32", "bfloat16".
        revision: Which revision of a hub model.
        trust_remote_code: Whether a hub model may run its own code here.
        backend: A backend that is already made; the model is then its own name for one.
        retries: How often a transient failure is repeated.
        fallback: Models to ask, in order, when this one fails.
        concurrency: Most calls at once.
        requests_per_minute: Most calls a minute.
    """

    api_key: Any
    base_url: str | None
    client: Any
    http_client: Any
    proxy: str | None
    ca: Any
    headers: Mapping[str, str] | None
    max_bytes: int | None
    fetch: FetchPolicy | bool
    api: Literal["auto", "responses", "chat"]
    credential: Any
    organization: str | None
    project: str | None
    location: str | None
    credentials: Any
    api_version: str | None
    families: Sequence[Mapping[str, Any]] | None
    region: str | None
    profile: str | None
    session: Any
    device: str | None
    dtype: str | None
    revision: str | None
    trust_remote_code: bool
    backend: Backend | None
    retries: int
    fallback: Sequence[str | LLM]
    concurrency: int | None
    requests_per_minute: float | None


ASKING = frozenset({"system", "on_unsupported", "require", "extra"})
_POLICIES = frozenset({"retries", "fallback", "concurrency", "requests_per_minute"})
_SETTINGS = frozenset(Settings.model_fields)
# What leads out of the user's network, and what may come in, is the same whoever is asked.
_WAY = frozenset({"proxy", "ca", "http_client", "max_bytes", "fetch"})


def separate(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return keywords of the policies, of the backend's constructor, and of requests.

    Raises:
        ConfigError: For a policy's value that cannot be.
    """
    policies = {key: given[key] for key in _POLICIES & given.keys() if given[key] is not None}
    _check_policies(policies)
    asked = {key: value for key, value in given.items() if key in ASKING | _SETTINGS}
    rest = given.keys() - _POLICIES - asked.keys()
    return policies, {key: given[key] for key in given if key in rest and given[key] is not None}, asked


def part(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that are for one backend alone, and those that stay when the backend changes."""
    own = {key: value for key, value in options.items() if key not in _WAY}
    return own, {key: value for key, value in options.items() if key in _WAY}


def carried(way: Mapping[str, Any], *, to: str) -> dict[str, Any]:
    """Return what of `way` the backend `to` is made with: all that it takes.

    One that is known to use no network takes nothing. A backend of another package gets everything, and refuses what
    it does not know: its calls must not go round a proxy in silence.
    """
    takes = find(to).options
    return {key: value for key, value in way.items() if takes is None or key in takes}


def check(name: str, options: Mapping[str, Any], *, made: bool) -> None:
    """Find a misspelt or impossible option before anything is imported.

    Raises:
        UnknownSetting: For a name that the backend does not take.
        ConfigError: For a value that cannot be.
    """
    takes = frozenset[str]() if made else find(name).options
    if takes is None:
        return
    for key in options:
        if key not in takes:
            near = suggest(key, _SETTINGS | ASKING | _POLICIES | takes)
            there = f"backend {name!r}" + (" that is already made" if made else "")
            raise UnknownSetting(
                f"unknown setting {key!r:.80}{near}; {there} takes {', '.join(sorted(takes)) or 'no options'}"
            )
    check_options(options, backend=name)


def _check_policies(policies: Mapping[str, Any]) -> None:
    for key, least in (("retries", 0), ("concurrency", 1)):
        value = policies.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{key}={value!r:.80}: must be a whole number from {least}")
    rate = policies.get("requests_per_minute", 1)
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 < rate < float("inf"):
        raise ConfigError(f"requests_per_minute={rate!r:.80}: must be a number above 0")
