"""A backend without a model: it answers what it is told to, or something simple that is always the same.

Unscripted, a mock

- repeats the text of the last user message ("ok" where that has none);
- with an output schema, answers the smallest JSON that fits it; made to use a tool (`tool_choice`), calls the first one
  allowed with the smallest arguments that fit;
- counts a word, with the white space before it, as one token, and each picture or sound as one;
- embeds a text as the sum of a vector per word, so that texts with common words are near each other;
- gives every byte the probability 1/256: the `total` of a score is minus ln 256 times the bytes of the text.

It honours every setting of a generation. Those that move a model's choice change nothing, for there is none: each token
has the probability 1. `max_tokens` and `stop` cut scripted answers too; with `n` the same answer comes n times.
Embeddings and scores honour the time limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from typing_extensions import override

from ...errors import GenkitError
from ...types import (
    CallWarning,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    Plan,
    Request,
    Response,
    Score,
    ScoreRequest,
    Settings,
    Text,
    Usage,
)
from ..base import Backend, Losses
from .call import Call, prompt_tokens, understood
from .clock import Clock
from .meaning import score, vector
from .script import Reply, Script, Step, count, tool_call, written
from .streams import AsyncMockStream, MockStream

__all__ = ["Mock", "Reply", "tool_call"]

_EVERYTHING = Features(
    settings=frozenset(Settings.model_fields),
    tools=True,
    output_schema=True,
    thinking=True,
    media=frozenset({"image", "audio", "video", "document"}),
    embeddings=True,
    scores=True,
    count_tokens=True,
)
_DIMENSIONS = 64


class Mock(Backend):
    """Answer from a script, without network or randomness.

    Args:
        name: What responses and errors call it.
        features: What it can do; everything where None. With less it refuses or reports the rest.
        waits: Whether scripted delays are really waited for. If not, the clock of the call is put forward by them, and
            an hour passes at once; time limits act as they would.

    Example:
        >>> mock = Mock()
        >>> mock.reply("Hello", tool_call("weather", city="Oslo"))
        >>> mock.fail(RateLimited("slow down", retry_after=0))
    """

    def __init__(self, *, name: str = "mock", features: Features | None = None, waits: bool = True) -> None:
        self.name = name
        self.waits = waits
        self._features = _EVERYTHING if features is None else features
        self._script = Script(name)

    # ------------------------------------------------------------ the script

    def reply(self, *replies: Reply, delay: float = 0.0, pace: float = 0.0) -> None:
        """Answer the next calls, one reply each; a call beyond the last is then an error.

        Args:
            replies: Text; a dict or pydantic object (becomes JSON text); a part such as `tool_call(...)`; a list of
                texts and parts for one answer; a `Message`; a `Response` (given as it is, whatever the settings
                say); or a function that makes one of these of the request.
            delay: Seconds before each answer begins.
            pace: Seconds between two events of its stream.
        """
        self._script.add([_reply(reply, delay, pace) for reply in replies])

    def reply_always(self, reply: Reply, *, delay: float = 0.0, pace: float = 0.0) -> None:
        """Answer every call for which nothing else is scripted."""
        self._script.always(_reply(reply, delay, pace))

    def fail(
        self, error: GenkitError, *, times: int = 1, after: int = 0, reply: Reply | None = None, delay: float = 0.0
    ) -> None:
        """Let the next calls fail, whatever they ask for.

        Args:
            error: What is raised.
            times: How many calls fail.
            after: Events that a stream still gives before it fails; a call that is no stream fails at once.
            reply: The answer these events are of; the unscripted one where None.
            delay: Seconds until the answer begins or the failure comes.
        """
        self._script.add([Step(reply=reply, error=error, after=after, delay=delay)] * times)

    def cut(self, *, after: int = 2, times: int = 1, reply: Reply | None = None, delay: float = 0.0) -> None:
        """Let the connection of the next calls break: in a stream after so many events, else before the answer."""
        self._script.add([Step(reply=reply, cut=True, after=after, delay=delay)] * times)

    @property
    def calls(self) -> tuple[Request, ...]:
        """Every request for an answer so far, in order; those that failed too."""
        return self._script.calls(Request)

    @property
    def embed_calls(self) -> tuple[EmbedRequest, ...]:
        """Every request for embeddings so far."""
        return self._script.calls(EmbedRequest)

    @property
    def score_calls(self) -> tuple[ScoreRequest, ...]:
        """Every request for scores so far."""
        return self._script.calls(ScoreRequest)

    # ------------------------------------------------------------ the backend

    @override
    def features(self, model: str) -> Features:
        return self._features

    @override
    def generate(self, request: Request) -> Response[Any]:
        call = Call(self, self._script, request)
        pause, late = call.whole()
        time.sleep(pause)
        return call.result(late)

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        call = Call(self, self._script, request)
        pause, late = call.whole()
        await asyncio.sleep(pause)
        return call.result(late)

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        return MockStream(Call(self, self._script, request))

    @override
    def astream(self, request: Request) -> AsyncIterator[Event]:
        return AsyncMockStream(Call(self, self._script, request))

    @override
    def plan(self, request: Request, *, stream: bool = False) -> Plan:
        losses = Losses(request, backend=self.name)
        given = understood(request, self, losses)
        asked = {**given.settings.model_dump(mode="json", include=given.settings.given()), "stream": stream}
        body = given.model_dump(mode="json", include={"messages", "tools", "output_schema"}, exclude_none=True)
        return Plan(
            backend=self.name,
            method="local",
            url=f"{self.name}:{request.model}",
            headers={},
            body={**body, "settings": asked},
            warnings=tuple(losses.warnings),
        )

    @override
    def count_tokens(self, request: Request) -> int:
        if not self._features.count_tokens:
            raise self.lacks("token counting", request.model)
        return prompt_tokens(request)

    @override
    async def acount_tokens(self, request: Request) -> int:
        return self.count_tokens(request)

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        pause, late, warnings = self._beside(request)
        time.sleep(pause)
        return self._embedded(request, late, warnings)

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        pause, late, warnings = self._beside(request)
        await asyncio.sleep(pause)
        return self._embedded(request, late, warnings)

    @override
    def score(self, request: ScoreRequest) -> tuple[Score, ...]:
        pause, late, _ = self._beside(request)
        time.sleep(pause)
        return self._scored(request, late)

    @override
    async def ascore(self, request: ScoreRequest) -> tuple[Score, ...]:
        pause, late, _ = self._beside(request)
        await asyncio.sleep(pause)
        return self._scored(request, late)

    def _beside(
        self, request: EmbedRequest | ScoreRequest
    ) -> tuple[float, GenkitError | None, tuple[CallWarning, ...]]:
        """Record a call that is no generation; return how long it takes, the error that comes instead, and losses."""
        if isinstance(request, EmbedRequest) and not self._features.embeddings:
            raise self.lacks("embeddings", request.model)
        if isinstance(request, ScoreRequest) and not self._features.scores:
            raise self.lacks("scores of given texts", request.model)
        losses = Losses(request, backend=self.name)
        work = "embedding" if isinstance(request, EmbedRequest) else "scoring"
        losses.settings(request.settings, self._features.settings & {"timeout"}, where=f"{work} with this mock")
        if isinstance(request, EmbedRequest) and request.input_type is not None:
            losses.lose("input_type", "the mock embeds queries and documents alike")
        warnings = tuple(losses.warnings)
        step = self._script.take_failure(request)
        pause, late = Clock(request.settings.timeout, backend=self.name, waits=self.waits).pause(step.delay)
        if late or not step.fails:
            return pause, late, warnings
        failure = step.failure()
        failure.backend = failure.backend or self.name
        return pause, failure, warnings

    def _embedded(
        self, request: EmbedRequest, late: GenkitError | None, warnings: tuple[CallWarning, ...]
    ) -> Embeddings:
        if late:
            raise late
        size = request.dimensions or _DIMENSIONS
        usage = Usage(input=sum(count(Text(text=text)) for text in request.texts), output=0)
        vectors = tuple(vector(text, size) for text in request.texts)
        return Embeddings(vectors=vectors, usage=usage, model=request.model, backend=self.name, warnings=warnings)

    def _scored(self, request: ScoreRequest, late: GenkitError | None) -> tuple[Score, ...]:
        if late:
            raise late
        return tuple(score(text) for text in request.texts)


def _reply(reply: Reply, delay: float, pace: float) -> Step:
    if reply is None:
        written(reply)  # refuses it; to a step it would mean the unscripted answer
    return Step(reply=reply, delay=delay, pace=pace)
