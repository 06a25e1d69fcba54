"""`LLM`: what users hold.

It is immutable and cheap, does no I/O when it is made, and may be shared between threads, tasks and event loops. Behind
it stand one backend and the policies around it, made on first use and shared by all copies that `with_` makes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

from typing_extensions import Unpack

from .backends import Backend, load, split
from .config import default_model
from .errors import ConfigError, GenkitError, MissingExtra
from .options import ASKING, Options, carried, check, part, separate
from .prompts import AskDict, Asking, CallDict, Prompt
from .streams import AsyncStream, Stream
from .types import (
    CallWarning,
    Embeddings,
    EmbedRequest,
    Features,
    Health,
    Media,
    Plan,
    Request,
    Response,
    Schema,
    Score,
    ScoreRequest,
    Settings,
    Tool,
)

if TYPE_CHECKING:
    from .policies import AsyncLive, Policy

__all__ = ["LLM", "Options"]

T = TypeVar("T")
PartT = TypeVar("PartT", bound=Media)


@dataclass(frozen=True, slots=True)
class _Connection:
    """What one backend and its policies are made of.

    `way` are the options of the user's network; they stay when the backend changes. Both it and
    `options` may hold secrets.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    way: Mapping[str, Any] = field(default_factory=dict, repr=False)
    backend: Backend | None = None
    policies: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> tuple[Any, ...]:
        """What the backend is made of."""
        return self.name, self.options, self.way, self.backend

    @property
    def limits(self) -> tuple[Any, ...]:
        """What its limits are made of."""
        return self.policies.get("concurrency"), self.policies.get("requests_per_minute")


class _Lazy(Generic[T]):
    """A value made on first use, once, whichever thread comes first."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def __bool__(self) -> bool:
        """Whether it was made."""
        return bool(self._made)


class _Core:
    """A backend with its policies, made on first use. Copies with other policies share the backend, and its limits."""

    def __init__(self, connection: _Connection, like: _Core | None = None) -> None:
        self.connection = connection
        self.source = _Lazy(self._load)
        self.limited = _Lazy(self._limit)
        self._stack = _Lazy(self._build)
        if like is not None and connection.source == like.connection.source:
            self.source = like.source
            if connection.limits == like.connection.limits:
                self.limited = like.limited

    @property
    def stack(self) -> Policy:
        return self._stack()

    def _load(self) -> Backend:
        made = self.connection
        return made.backend or load(made.name, **{**carried(made.way, to=made.name), **made.options})

    def _limit(self) -> Backend:
        limited: Backend = _load("stack").limited(self.source(), self.connection.policies)
        return limited

    def _build(self) -> Policy:
        policies = self.connection.policies
        like_this = {key: policies[key] for key in ("retries",) if key in policies}
        others = [
            llm if isinstance(llm, LLM) else LLM(llm, **like_this, **carried(self.connection.way, to=split(llm)[0]))
            for llm in policies.get("fallback") or ()
        ]
        loaded = _load("stack")
        fallbacks = [
            loaded.Target(llm._core.stack, llm._model, llm.model, llm._asking.under)  # noqa: SLF001  # LLM's own
            for llm in others
        ]
        stack: Policy = loaded.build(self.limited(), self.connection.name, policies, fallbacks)
        return stack

    def close(self) -> None:
        if self._stack:
            self.stack.close()

    async def aclose(self) -> None:
        if self._stack:
            await self.stack.aclose()


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
        backend = _backend(given)
        name, self._model = _named(default_model() if model is None and backend is None else model, backend)
        policies, connection, asked = _sorted(given)
        check(name, connection, made=backend is not None)
        own, way = part(connection)
        self._core = _Core(_Connection(name, own, way, backend, policies))
        self._asking = _asked(Asking(backend=name), asked)

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
    def capabilities(self) -> Features:
        """What the backend can do with this model, as its tables say: settings, media, tools, and so on."""
        return self._core.stack.features(self._model)

    def __repr__(self) -> str:
        given = self._asking.settings
        shown = "".join(f", {name}={getattr(given, name)!r}" for name in sorted(given.given()))
        return f"LLM({self.model!r}{shown})"

    def with_(self, model: str | None = None, **options: Unpack[Options]) -> Self:
        """Return a copy with other options; an option of None says nothing.

        It shares the connections, and the limits, as far as what they are made of stays the same. A model of another
        backend gets no key, address or headers of this one, but keeps its `proxy`, `ca`, `http_client` and `fetch`.
        """
        given: dict[str, Any] = dict(options)
        old = self._core.connection
        backend = _backend(given)
        policies, connection, asked = _sorted(given)
        if model is None and backend is None:
            name, new_model = old.name, self._model
        else:
            name, new_model = _named(model, backend or (old.backend if _is_of(model, old) else None))
        same = backend is None and name == old.name
        backend = old.backend if same else backend
        check(name, connection, made=backend is not None)
        own, way = part(connection)
        own, way = {**old.options, **own} if same else own, {**old.way, **way}
        other = object.__new__(type(self))
        other._model = new_model
        other._asking = _asked(replace(self._asking, backend=name), asked)
        made = _Connection(name, own, way, backend, {**old.policies, **policies})
        other._core = self._core if made == old else _Core(made, like=self._core)
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

    def upload(self, part: PartT) -> PartT:
        """Put the bytes of a part into the vendor's file service, and return the part with their id there instead.

        For files too large to be sent with each request, or sent often. They stay with the vendor until they expire or
        are deleted there: nothing is uploaded unless this is called. It needs the vendor's SDK. The time limits and
        `retries` of this object hold for it.

        Raises:
            ConfigError: If it is no image, audio, video or document, or its bytes are not here.
            Unsupported: If the vendor has no file service, or it does not take such a file.
        """
        done: Any = self._core.source().upload(_media(part), self._model, **self._terms())
        made: PartT = done
        return made

    async def aupload(self, part: PartT) -> PartT:
        """Async twin of `upload`."""
        done: Any = await self._core.source().aupload(_media(part), self._model, **self._terms())
        made: PartT = done
        return made

    def check(self, prompt: Prompt, **options: Unpack[AskDict]) -> tuple[CallWarning, ...]:
        """Return everything about a call that could not be as asked, before any of it is sent or paid for.

        Nothing is sent, and no credential is needed. What the call would raise is among them, as kind "error"; an empty
        result means that the request goes out exactly as written.

        Raises:
            ConfigError: For what is no request at all, such as a misspelt setting.
        """
        request = self._request(prompt, options)
        try:
            found = self._core.stack.check(request)
        except ConfigError:
            raise
        except GenkitError as error:
            found = (CallWarning(kind="error", subject=type(error).__name__, message=error.message),)
        if request.on_unsupported == "error":
            return tuple(item.model_copy(update={"kind": "error"}) if item.kind != "note" else item for item in found)
        return found

    def health(self, *, online: bool = True) -> Health:
        """Return whether calls can work: a credential is there and, with `online`, the far end takes it.

        No model is asked, so nothing is billed. It never raises, and takes seconds at most.
        """
        try:
            stack = self._core.stack
        except GenkitError as error:
            state: Any = "not installed" if isinstance(error, MissingExtra) else "unconfigured"
            return Health(backend=self._core.connection.name, state=state, message=error.message)
        return stack.health(online=online, model=self._model)

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

    def _terms(self) -> dict[str, Any]:
        """Return the time limits and retries of what is no request."""
        retries = self._core.connection.policies.get("retries", _load("stack").RETRIES)
        return {"timeouts": self._asking.settings.timeout, "retries": int(retries or 0)}

    def _request(self, prompt: Prompt, options: Mapping[str, Any]) -> Request:
        given = dict(options)
        tools: Sequence[Tool] = given.pop("tools", None) or ()
        schema: Schema | None = given.pop("output_schema", None)
        asking = _asked(self._asking, given)
        return asking.request(self._model, prompt, tools=tools, output_schema=schema)

    def _embed_request(self, texts: str | Iterable[str], dimensions: Any, kind: Any, options: Any) -> EmbedRequest:
        asking = _asked(self._asking, dict(options))
        if not isinstance(dimensions, int | None) or dimensions is True or (dimensions is not None and dimensions < 1):
            raise ConfigError(f"dimensions={dimensions!r:.80}: must be a whole number from 1")
        if kind not in (None, "query", "document"):
            raise ConfigError(f"input_type={kind!r:.80}: must be 'query' or 'document'")
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
    asking = {key: given.pop(key) for key in list(given) if key in ASKING}
    return base.over(given, **asking)


def _backend(given: dict[str, Any]) -> Backend | None:
    backend = given.pop("backend", None)
    if not isinstance(backend, Backend | None):
        raise ConfigError(f"backend= takes a Backend that is already made, not {backend!r:.60}; a name goes into model")
    return backend


def _named(model: object, backend: Backend | None) -> tuple[str, str]:
    """Return the names of backend and model."""
    if not isinstance(model, str | None):
        raise ConfigError(f"the model must be text, as in 'openai:gpt-5-mini', not {type(model).__name__}")
    if backend is not None:
        return backend.name, (model or "").removeprefix(f"{backend.name}:")
    return split(model or "")


def _is_of(model: str | None, made: _Connection) -> bool:
    return isinstance(model, str) and model.startswith(f"{made.name}:")


def _sorted(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return keywords of the policies, of the backend's constructor, and of requests."""
    policies, connection, asked = separate(given)
    if "fallback" in policies:
        policies["fallback"] = _fallback(policies["fallback"])
    return policies, connection, asked


def _fallback(models: Any) -> tuple[str | LLM, ...]:
    if isinstance(models, (str, LLM)) or not isinstance(models, Iterable):
        raise ConfigError(f"fallback={models!r:.80}: must be a list of models ('backend:model') or LLMs")
    found = tuple(models)
    for item in found:
        if isinstance(item, str):
            split(item)
        elif not isinstance(item, LLM):
            raise ConfigError(f"fallback holds {item!r:.60}: must be models ('backend:model') or LLMs")
    return found


def _media(part: object) -> Media:
    if not isinstance(part, Media):
        raise ConfigError(f"upload takes an Image, Audio, Video or Document, not {type(part).__name__}")
    return part


def _texts(texts: str | Iterable[str]) -> tuple[str, ...]:
    try:
        found = (texts,) if isinstance(texts, str) else tuple(texts)
    except TypeError:
        raise ConfigError(f"texts must be a text or a list of texts, not {type(texts).__name__}") from None
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{i}] is {type(text).__name__}, not str")
    if not found:
        raise ConfigError("texts is empty: pass at least one text")
    return found
