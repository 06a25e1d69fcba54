"""`LLM`: what users hold.

It is immutable and cheap, does no I/O when it is made, and may be shared between threads, tasks and event loops. Behind
it stand one backend and the policies around it, made on first use and shared by all copies that `with_` makes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, overload

from typing_extensions import Unpack

from .backends import Backend, find, load, split
from .config import default_model
from .errors import ConfigError, GenkitError, UnknownSetting, suggest
from .prompts import Asking, Prompt
from .streams import AsyncStream, Stream
from .types import (
    Embeddings,
    EmbedRequest,
    Features,
    OnUnsupported,
    Plan,
    Reasoning,
    Request,
    Response,
    Schema,
    Score,
    ScoreRequest,
    Settings,
    Timeouts,
    Tool,
    ToolChoice,
)

if TYPE_CHECKING:
    from .policies import AsyncLive, Policy

__all__ = ["LLM", "Options", "SettingsDict"]


class SettingsDict(TypedDict, total=False):
    """The fields of `genkit.Settings`, as keywords; see there for what they mean."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    stop: str | Sequence[str]
    seed: int | None
    n: int | None
    logprobs: bool | None
    top_logprobs: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    reasoning: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | Reasoning | None
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None
    parallel_tool_calls: bool | None
    cache_prompt: bool | Literal["5m", "1h"] | None
    timeout: float | Timeouts | None


class CallDict(SettingsDict, total=False):
    """What a call may say beside its prompt: settings, and how to treat what the backend lacks."""

    system: str | None
    on_unsupported: OnUnsupported | None
    require: Iterable[str] | None
    extra: Mapping[str, Mapping[str, Any]] | None


class AskDict(CallDict, total=False):
    """The keywords of a call that generates."""

    tools: Sequence[Tool]
    output_schema: Schema | None


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
        api: Which of the vendor's interfaces: "auto", "responses" or "chat".
        credential: A token source (Azure).
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
    api: Literal["auto", "responses", "chat"]
    credential: Any
    organization: str | None
    project: str | None
    device: str | None
    dtype: str | None
    revision: str | None
    trust_remote_code: bool
    backend: Backend | None
    retries: int
    fallback: Sequence[str | LLM]
    concurrency: int | None
    requests_per_minute: float | None


_ASKING = frozenset({"system", "on_unsupported", "require", "extra"})
_POLICIES = frozenset({"retries", "fallback", "concurrency", "requests_per_minute"})
_SETTINGS = frozenset(Settings.model_fields)


@dataclass(frozen=True, slots=True)
class _Connection:
    """What one backend and its policies are made of."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    backend: Backend | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)


class _Core:
    """A backend with its policies, made on first use and shared."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._stack: Policy | None = None

    @property
    def stack(self) -> Policy:
        if self._stack is None:
            with self._lock:
                if self._stack is None:
                    self._stack = self._build()
        return self._stack

    def _build(self) -> Policy:
        made, policies = self.connection, dict(self.connection.policies)
        backend = made.backend or load(made.name, **made.options)
        like_this = {key: policies[key] for key in ("retries",) if key in policies}
        others = [
            llm if isinstance(llm, LLM) else LLM(llm, **like_this) for llm in policies.pop("fallback", None) or ()
        ]
        loaded = _load("stack")
        fallbacks = [loaded.Target(llm._core.stack, llm._model, llm.model) for llm in others]  # noqa: SLF001  # LLM's own
        stack: Policy = loaded.build(backend, made.name, policies, fallbacks)
        return stack

    def close(self) -> None:
        if self._stack is not None:
            self._stack.close()

    async def aclose(self) -> None:
        if self._stack is not None:
            await self._stack.aclose()


class LLM:
    """A language model, wherever it runs.

    Args:
        model: "backend:model", such as "openai:gpt-5-mini", "hf:smollm2", "mock:". Without one, that of the environment
            variable GENKIT_LLM_MODEL, else the small embedded model.
        options: See `Options` for the keywords; settings given here hold for every call that does not say otherwise.

    Raises:
        ConfigError: If the model or a value cannot be; `UnknownSetting` for a misspelt keyword, with the nearest one.

    Example:
        >>> llm = LLM("mock:", temperature=0.2)
        >>> llm.generate("Say hi").text
        'Say hi'
    """

    __slots__ = ("_asking", "_core", "_model")

    def __init__(self, model: str | None = None, **options: Unpack[Options]) -> None:
        given: dict[str, Any] = dict(options)
        backend = given.pop("backend", None)
        if backend is None:
            name, model = split(model or default_model())
        else:
            name, model = backend.name, (model or "").removeprefix(f"{backend.name}:")
        connection = {key: given.pop(key) for key in list(given) if key not in _ASKING | _POLICIES | _SETTINGS}
        _check_options(name, backend, connection)
        policies = {key: given.pop(key) for key in list(given) if key in _POLICIES}
        _check_policies(policies)
        self._model = model
        self._core = _Core(_Connection(name, _set(connection), backend, policies))
        self._asking = _asked(Asking(), given)

    # ------------------------------------------------------------ who it is

    @property
    def model(self) -> str:
        """The model, as "backend:model"."""
        return f"{self._core.connection.name}:{self._model}"

    @property
    def settings(self) -> Settings:
        """The settings its calls have by default."""
        return self._asking.settings

    @property
    def features(self) -> Features:
        """What the backend can do with this model."""
        return self._core.stack.features(self._model)

    def __repr__(self) -> str:
        given = self._asking.settings
        shown = "".join(f", {name}={getattr(given, name)!r}" for name in sorted(given.given()))
        return f"LLM({self.model!r}{shown})"

    def with_(self, model: str | None = None, **options: Unpack[Options]) -> Self:
        """Return a copy with other options. It shares connections and limits, unless what they are made of changes."""
        given: dict[str, Any] = dict(options)
        asked = {key: given.pop(key) for key in list(given) if key in _ASKING | _SETTINGS}
        old = self._core.connection
        name, new_model = split(model) if model is not None else (old.name, self._model)
        other = object.__new__(type(self))
        other._model = new_model
        other._asking = _asked(self._asking, asked)
        other._core = self._core
        if given or name != old.name:
            policies = {**old.policies, **{key: given.pop(key) for key in list(given) if key in _POLICIES}}
            _check_policies(policies)
            backend = given.pop("backend", None if name != old.name else old.backend)
            kept = old.options if name == old.name else {}
            connection = {**kept, **given}
            _check_options(name, backend, connection)
            if backend is None and name == old.name and not _set(given) and self._core.connection.backend is None:
                connection = dict(kept)
            other._core = _Core(_Connection(name, _set(connection), backend, policies))
        return other

    # ------------------------------------------------------------ generation

    def generate(self, prompt: Prompt, **options: Unpack[AskDict]) -> Response[str]:
        """Answer a prompt.

        Args:
            prompt: Text, a part (an `Image`), a `Message`, or a sequence of these.
            options: `system`, `tools`, `output_schema`, settings such as `temperature`, and `on_unsupported`,
                `require`, `extra`.

        Raises:
            GenkitError: As the tree in `genkit.errors` says.
        """
        return self._core.stack.generate(self._request(prompt, options))

    async def agenerate(self, prompt: Prompt, **options: Unpack[AskDict]) -> Response[str]:
        """Async twin of `generate`."""
        return await self._core.stack.agenerate(self._request(prompt, options))

    def stream(self, prompt: Prompt, **options: Unpack[AskDict]) -> Stream:
        """Answer piece by piece: `with llm.stream(...) as s: for piece in s.text: ...`. Takes what `generate` takes."""
        request = self._request(prompt, options)
        return Stream(lambda control: self._core.stack.open(request, control), _load("stack").Control())

    def astream(self, prompt: Prompt, **options: Unpack[AskDict]) -> AsyncStream:
        """Async twin of `stream`: `async with llm.astream(...) as s: async for piece in s.text: ...`."""
        request = self._request(prompt, options)

        async def open_() -> AsyncLive:
            return await self._core.stack.aopen(request)

        return AsyncStream(open_)

    @overload
    def map(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[AskDict],
    ) -> list[Response[str]]: ...

    @overload
    def map(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["return"],
        **options: Unpack[AskDict],
    ) -> list[Response[str] | GenkitError]: ...

    def map(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["raise", "return"] = "raise",
        **options: Unpack[AskDict],
    ) -> Any:
        """Answer many prompts, some at a time; the answers are in the order of the prompts.

        Args:
            prompts: Any iterable; it is read only as fast as it is worked on.
            concurrency: Most calls at once.
            on_error: "raise" ends everything at the first failure; "return" puts the error in the answer's place.
            options: As for `generate`, for every prompt.
        """
        return _load("mapping").map_calls(
            lambda prompt: self.generate(prompt, **options), prompts, concurrency=concurrency, on_error=on_error
        )

    @overload
    async def amap(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["raise"] = "raise",
        **options: Unpack[AskDict],
    ) -> list[Response[str]]: ...

    @overload
    async def amap(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["return"],
        **options: Unpack[AskDict],
    ) -> list[Response[str] | GenkitError]: ...

    async def amap(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 8,
        on_error: Literal["raise", "return"] = "raise",
        **options: Unpack[AskDict],
    ) -> Any:
        """Async twin of `map`."""
        return await _load("mapping").amap_calls(
            lambda prompt: self.agenerate(prompt, **options), prompts, concurrency=concurrency, on_error=on_error
        )

    # ------------------------------------------------------------ beside generation

    def embed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        input_type: Literal["query", "document"] | None = None,
        **options: Unpack[CallDict],
    ) -> Embeddings:
        """Turn texts into vectors, one each, in order."""
        return self._core.stack.embed(self._embed_request(texts, dimensions, input_type, options))

    async def aembed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        input_type: Literal["query", "document"] | None = None,
        **options: Unpack[CallDict],
    ) -> Embeddings:
        """Async twin of `embed`."""
        return await self._core.stack.aembed(self._embed_request(texts, dimensions, input_type, options))

    def score(self, texts: str | Iterable[str], **options: Unpack[CallDict]) -> tuple[Score, ...]:
        """Return the log-probability (nats) of every token of each text."""
        return self._core.stack.score(self._score_request(texts, options))

    async def ascore(self, texts: str | Iterable[str], **options: Unpack[CallDict]) -> tuple[Score, ...]:
        """Async twin of `score`."""
        return await self._core.stack.ascore(self._score_request(texts, options))

    def count_tokens(self, prompt: Prompt, **options: Unpack[AskDict]) -> int:
        """Return how many tokens the prompt is, as the model sees it."""
        return self._core.stack.count_tokens(self._request(prompt, options))

    async def acount_tokens(self, prompt: Prompt, **options: Unpack[AskDict]) -> int:
        """Async twin of `count_tokens`."""
        return await self._core.stack.acount_tokens(self._request(prompt, options))

    def plan(self, prompt: Prompt, *, stream: bool = False, **options: Unpack[AskDict]) -> Plan:
        """Return the exact HTTP request that a call would send, and what was changed for it; nothing is sent."""
        return self._core.stack.plan(self._request(prompt, options), stream=stream)

    # ------------------------------------------------------------ closing is optional

    def close(self) -> None:
        """Close idle connections and free what a local model holds. Optional; a later call opens them again."""
        self._core.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await self._core.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # ------------------------------------------------------------ requests

    def _request(self, prompt: Prompt, options: Mapping[str, Any]) -> Request:
        given = dict(options)
        tools: Sequence[Tool] = given.pop("tools", ())
        schema: Schema | None = given.pop("output_schema", None)
        asking = _asked(self._asking, given)
        return asking.request(self._model, prompt, tools=tools, output_schema=schema)

    def _embed_request(
        self, texts: str | Iterable[str], dimensions: int | None, kind: Any, options: Any
    ) -> EmbedRequest:
        asking = _asked(self._asking, dict(options))
        return EmbedRequest(
            model=self._model,
            texts=_texts(texts),
            dimensions=dimensions,
            input_type=kind,
            settings=asking.settings,
            **asking.common(),
        )

    def _score_request(self, texts: str | Iterable[str], options: Any) -> ScoreRequest:
        asking = _asked(self._asking, dict(options))
        return ScoreRequest(model=self._model, texts=_texts(texts), settings=asking.settings, **asking.common())


def _load(name: str) -> Any:
    """Import a module that only calls need: with it come asyncio and tenacity, a third of the import's time."""
    return import_module(f"{__package__}.{name}")


def _asked(base: Asking, given: dict[str, Any]) -> Asking:
    """Lay a call's keywords over the defaults."""
    if not given:
        return base
    asking = {key: given.pop(key) for key in list(given) if key in _ASKING}
    return base.over(given, **asking)


def _set(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out options that are None: they say nothing."""
    return {key: value for key, value in options.items() if value is not None}


def _check_options(name: str, backend: Backend | None, options: Mapping[str, Any]) -> None:
    """Find a misspelt keyword before anything is imported."""
    takes = frozenset[str]() if backend is not None else find(name).options
    for key in options:
        if key not in takes:
            near = suggest(key, _SETTINGS | _ASKING | _POLICIES | takes)
            there = f"backend {name!r}" + (" that is already made" if backend is not None else "")
            raise UnknownSetting(
                f"unknown setting {key!r}{near}; {there} takes {', '.join(sorted(takes)) or 'no options'}"
            )


def _check_policies(policies: Mapping[str, Any]) -> None:
    retries = policies.get("retries", 2)
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise ConfigError(f"retries={retries!r}: must be a whole number from 0")
    fallback = policies.get("fallback") or ()
    if isinstance(fallback, (str, LLM)) or not all(isinstance(item, (str, LLM)) for item in fallback):
        raise ConfigError(f"fallback={fallback!r}: must be a list of models ('backend:model') or LLMs")
    for item in fallback:
        if isinstance(item, str):
            split(item)


def _texts(texts: str | Iterable[str]) -> tuple[str, ...]:
    found = (texts,) if isinstance(texts, str) else tuple(texts)
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{i}] is {type(text).__name__}, not str")
    if not found:
        raise ConfigError("texts is empty: pass at least one text")
    return found
