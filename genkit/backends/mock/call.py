"""One call of a mock: what it understands of the request, and the answer it makes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...errors import GenkitError, InvalidRequest, suggest
from ...types import (
    Candidate,
    Features,
    Finish,
    Media,
    Message,
    Part,
    Request,
    Response,
    Settings,
    Text,
    Thinking,
    Timeouts,
    TokenLogprob,
    ToolCall,
    ToolChoice,
    Usage,
)
from ..base import Losses
from .clock import Clock
from .example import ExampleError, example
from .script import Script, Step, count, shorten, stop_at, tokens, written
from .streams import pieces

if TYPE_CHECKING:
    from . import Mock

__all__ = ["Call", "prompt_tokens", "understood"]


class Call:
    """One call of a mock, from request to answer."""

    def __init__(self, mock: Mock, script: Script, request: Request) -> None:
        self.mock = mock
        self._script = script
        self.asked = request
        losses = Losses(request, backend=mock.name)
        self.request = understood(request, mock, losses)
        self.warnings = tuple(losses.warnings)
        self.clock = Clock(Timeouts(), backend=mock.name, waits=mock.waits)
        self.number = 0

    def begin(self) -> Step:
        """Take the next step of the script; the time runs from here."""
        self.clock = Clock(self.request.settings.timeout, backend=self.mock.name, waits=self.mock.waits)
        self.number, step = self._script.take(self.asked)
        return step

    def whole(self) -> tuple[float, GenkitError | None]:
        """Return how long an answer in one piece takes, and the error that comes instead."""
        step = self.begin()
        if step.fails:
            pause, late = self.clock.pause(step.delay)
            return pause, late or self.named(step.failure())
        self._response = self.answer(step)
        between = sum(1 for _ in pieces(self._response)) - 1 if step.pace else 0
        return self.clock.pause(step.delay + step.pace * between)

    def result(self, late: GenkitError | None) -> Response[Any]:
        """Return the answer when its time has come."""
        if late:
            raise late
        return self._response.model_copy(update={"timing": self._response.timing or self.clock.timing()})

    def named(self, error: GenkitError) -> GenkitError:
        """Say on an error whose it is."""
        error.backend = error.backend or self.mock.name
        return error

    @property
    def prompt_tokens(self) -> int:
        """The tokens of the prompt."""
        return prompt_tokens(self.request)

    def facts(self) -> dict[str, Any]:
        """Return what every answer to this call has in common."""
        return {
            "model": self.request.model,
            "backend": self.mock.name,
            "id": f"mock-{self.number}",
            "warnings": self.warnings,
        }

    def answer(self, step: Step) -> Response[Any]:
        """Return the answer of a step as the settings shape it."""
        if step.reply is None:
            answer: Response[Any] | tuple[Part, ...] = self._unscripted()
        else:
            answer = written(step.reply(self.asked) if callable(step.reply) else step.reply)
        if isinstance(answer, Response):
            facts = {name: value for name, value in self.facts().items() if not getattr(answer, name)}
            return answer.model_copy(update={**facts, "warnings": self.warnings + answer.warnings})
        settings = self.request.settings
        parts = tuple(self._numbered(part, index) for index, part in enumerate(answer))
        parts = stop_at(parts, settings.stop)
        cut = False
        if settings.max_tokens is not None:
            parts, cut = shorten(parts, settings.max_tokens)
        calls = any(isinstance(part, ToolCall) for part in parts)
        finish: Finish = "length" if cut else "tool_calls" if calls else "stop"
        message, logprobs = Message(role="assistant", parts=parts), self._logprobs(parts)
        n = settings.n or 1
        other = Candidate(message=message, finish=finish, finish_raw=finish, logprobs=logprobs)
        return Response(
            message=message,
            finish=finish,
            finish_raw=finish,
            usage=self._usage(parts, n),
            alternatives=(other,) * (n - 1),
            logprobs=logprobs,
            **self.facts(),
        )

    def _numbered(self, part: Part, index: int) -> Part:
        if isinstance(part, ToolCall) and not part.id:
            return part.model_copy(update={"id": f"call_{self.number}_{index}"})
        return part

    def _usage(self, parts: tuple[Part, ...], n: int) -> Usage:
        thought = sum(count(part) for part in parts if isinstance(part, Thinking))
        total = sum(count(part) for part in parts)
        return Usage(input=self.prompt_tokens, output=n * (total - thought), reasoning=n * thought)

    def _logprobs(self, parts: tuple[Part, ...]) -> tuple[TokenLogprob, ...] | None:
        settings = self.request.settings
        if settings.logprobs is False or not (settings.logprobs or settings.top_logprobs):
            return None
        words = [token for part in parts if isinstance(part, Text) for token in tokens(part.text)]
        return tuple(
            TokenLogprob(word, 0.0, (TokenLogprob(word, 0.0),) if settings.top_logprobs else ()) for word in words
        )

    def _unscripted(self) -> tuple[Part, ...]:
        request, choice = self.request, self.request.settings.tool_choice or ToolChoice()
        if choice.mode in ("required", "named"):
            tool = next(tool for tool in request.tools if choice.mode == "required" or tool.name in choice.names)
            arguments = self._example(tool.parameters, f"the parameters of tool {tool.name!r}")
            return (ToolCall(id="", name=tool.name, arguments=arguments if isinstance(arguments, dict) else {}),)
        if request.output_schema is not None:
            value = self._example(request.output_schema.json_schema, f"schema {request.output_schema.name!r}")
            return (Text(text=json.dumps(value, ensure_ascii=False)),)
        last = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
        return (Text(text=last or "ok"),)

    def _example(self, schema: dict[str, Any], what: str) -> object:
        try:
            return example(schema)
        except ExampleError as error:
            raise InvalidRequest(
                f"the mock finds no example for {what}: {error}; script the answer with mock.reply(...)",
                backend=self.mock.name,
            ) from error


def prompt_tokens(request: Request) -> int:
    """Return the mock's tokens of all messages."""
    return sum(count(part) for message in request.messages for part in message.parts)


def understood(request: Request, mock: Mock, losses: Losses) -> Request:
    """Return the request without what the mock was declared not to have, after reporting it.

    Raises:
        InvalidRequest: For what no backend could answer.
        Unsupported: By the caller's policy.
    """
    if not any(message.role != "system" for message in request.messages):
        raise InvalidRequest("the request has no message to answer; pass a prompt", backend=mock.name)
    settings, features = request.settings, mock.features(request.model)
    kept = losses.settings(settings, features.settings, where="this mock")
    changes: dict[str, Any] = {}
    if kept != settings.given():
        settings = Settings(**{name: getattr(settings, name) for name in kept})
        changes["settings"] = settings
    if settings.logprobs is False and settings.top_logprobs:
        losses.lose("top_logprobs", "logprobs=False asks for none")
    if request.tools and not features.tools:
        losses.lose("tools", "this mock has no tools", guarantee=True)
        changes["tools"] = ()
    if request.output_schema is not None and not features.output_schema:
        losses.lose("output_schema", "this mock has no output schemas", guarantee=True)
        changes["output_schema"] = None
    messages = tuple(_readable(message, features, losses) for message in request.messages)
    if messages != request.messages:
        changes["messages"] = messages
    understood = request.model_copy(update=changes) if changes else request
    _check_choice(understood, mock.name)
    return understood


def _readable(message: Message, features: Features, losses: Losses) -> Message:
    lost = [part for part in message.parts if isinstance(part, Media) and part.kind not in features.media]
    for part in lost:
        losses.lose(part.kind, f"this mock reads no {part.kind}", guarantee=True)
    return message.model_copy(update={"parts": tuple(p for p in message.parts if p not in lost)}) if lost else message


def _check_choice(request: Request, backend: str) -> None:
    choice, names = request.settings.tool_choice, [tool.name for tool in request.tools]
    if choice is None or choice.mode in ("auto", "none"):
        return
    if not names:
        raise InvalidRequest(f"tool_choice is {choice.mode!r}, but there are no tools", backend=backend)
    for name in choice.names if choice.mode == "named" else ():
        if name not in names:
            raise InvalidRequest(
                f"tool_choice names {name!r}{suggest(name, names)}; the tools are {', '.join(names)}", backend=backend
            )
    if choice.mode == "named" and not choice.names:
        raise InvalidRequest("tool_choice is 'named', but names no tool", backend=backend)
