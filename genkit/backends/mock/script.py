"""What a mock is told to answer: replies, and the steps they are queued as."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, Union

from pydantic import BaseModel

from ...errors import ConfigError, ConnectionFailed, GenkitError, StreamInterrupted
from ...events import parse_arguments
from ...types import (
    Audio,
    Document,
    EmbedRequest,
    Image,
    Message,
    Opaque,
    Part,
    Request,
    Response,
    ScoreRequest,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Video,
)
from ..base import AnyRequest

__all__ = ["Reply", "Script", "Step", "count", "shorten", "stop_at", "tokens", "tool_call", "written"]

R = TypeVar("R", Request, EmbedRequest, ScoreRequest)

_PARTS = (Text, Thinking, Image, Audio, Video, Document, ToolCall, ToolResult, Opaque)

Fixed: TypeAlias = str | Part | Message | Response[Any] | BaseModel | Mapping[str, Any] | Sequence[str | Part]
Reply: TypeAlias = Union[Fixed, Callable[[Request], Any]]  # noqa: UP007  # a Callable cannot stand beside | at run time
"""One answer: text; a part; several of these in a list; a dict or pydantic object, which becomes JSON text; a `Message`
or `Response`; or a function that makes one of these of the request."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one call.

    Attributes:
        reply: The answer; None for the unscripted one.
        error: Raised instead of the answer, or in the middle of it.
        cut: The connection is lost instead.
        after: Events of a stream that still come before that.
        delay: Seconds until the first event or the failure.
        pace: Seconds between two events.
    """

    reply: Reply | None = None
    error: GenkitError | None = None
    cut: bool = False
    after: int = 0
    delay: float = 0.0
    pace: float = 0.0

    def __post_init__(self) -> None:
        """Check what would only fail when the step is served."""
        for name in ("delay", "pace", "after"):
            value = getattr(self, name)
            if not value >= 0:
                raise ConfigError(f"{name}={value!r}: must be 0 or more")
        if self.error is not None and not isinstance(self.error, GenkitError):
            raise ConfigError(
                f"a mock fails with errors of genkit.errors, such as RateLimited('...'); got {self.error!r:.80}"
            )
        if self.reply is not None and not callable(self.reply):
            written(self.reply)

    @property
    def fails(self) -> bool:
        """Whether the call does not end in an answer."""
        return self.cut or self.error is not None

    def failure(self, *, begun: bool = False) -> GenkitError:
        """Return a fresh error: one that is raised twice would gather the facts of both calls."""
        if self.error is not None:
            error = copy.copy(self.error)
            error.__cause__ = self.error.__cause__
            return error
        if begun:
            return StreamInterrupted("the stream ended without its terminator; what arrived is in .response", sent=True)
        return ConnectionFailed("the connection broke before the answer came (scripted)", sent=True)


class Script:
    """The steps that are still to come, and the calls that came; for many threads.

    Args:
        name: Name of the mock, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._steps: deque[Step] = deque()
        self._always: Step | None = None
        self._replies = 0
        self._calls: list[AnyRequest] = []
        self._generations = 0

    def add(self, steps: Sequence[Step]) -> None:
        """Append steps."""
        with self._lock:
            self._steps.extend(steps)
            self._replies += sum(not step.fails for step in steps)

    def always(self, step: Step) -> None:
        """Set the step of every call for which nothing else is left."""
        with self._lock:
            self._always = step

    def calls(self, kind: type[R]) -> tuple[R, ...]:
        """Return the recorded calls of one kind."""
        with self._lock:
            return tuple([call for call in self._calls if isinstance(call, kind)])

    def take(self, request: Request) -> tuple[int, Step]:
        """Record a call, and return its number and what happens to it.

        Raises:
            ConfigError: If there were replies, and all are used.
        """
        with self._lock:
            self._calls.append(request)
            self._generations += 1
            number, scripted = self._generations, self._replies
            if self._steps:
                return number, self._steps.popleft()
            if self._always is not None:
                return number, self._always
        if not scripted:
            return number, Step()
        asked = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
        raise ConfigError(
            f"the mock has no reply for call {number} ({asked!r:.60}): {scripted} scripted, all used; add "
            "mock.reply(...) for each further call, or mock.reply_always(...)",
            backend=self._name,
        )

    def take_failure(self, request: AnyRequest) -> Step:
        """Record a call that is no generation; of the script only failures are for it."""
        with self._lock:
            self._calls.append(request)
            return self._steps.popleft() if self._steps and self._steps[0].fails else Step()


def tool_call(name: str, /, **arguments: object) -> ToolCall:
    """Return the answer in which the model asks for a tool; the mock numbers it.

    Example:
        >>> tool_call("weather", city="Oslo").arguments
        {'city': 'Oslo'}
    """
    return ToolCall(id="", name=name, arguments=arguments)


def written(reply: object) -> Response[Any] | tuple[Part, ...]:
    """Return the parts of an answer, or the whole response where the script holds one.

    Raises:
        ConfigError: If it is nothing a model could answer.
    """
    match reply:
        case Response():
            return reply
        case Message(parts=parts):
            return parts
        case str():
            return (Text(text=reply),) if reply else ()
        case _ if isinstance(reply, _PARTS):
            return (reply,)
        case BaseModel():
            return (Text(text=reply.model_dump_json()),)
        case Mapping():
            return (Text(text=_json(reply)),)
        case Sequence() if all(isinstance(item, (str, *_PARTS)) for item in reply):
            return tuple(Text(text=item) if isinstance(item, str) else item for item in reply)
        case _:
            raise ConfigError(
                f"a mock cannot reply with {type(reply).__name__} {reply!r:.80}; pass text, a dict or pydantic object, "
                "a part such as tool_call(...), a list of texts and parts, a Response, or a function of the request "
                "(a JSON list goes as text: json.dumps([...]))"
            )


def _json(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(value), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a mock cannot reply with this dict, it is no JSON ({error}): {value!r:.80}") from error


# A token is a word with the white space before it, so that the tokens of a text join to the text.
_TOKEN = re.compile(r"\s*\S+|\s+$")


def tokens(text: str) -> list[str]:
    """Cut a text into the mock's tokens."""
    return _TOKEN.findall(text)


def count(part: Part) -> int:
    """Return the tokens of a part; media are one each."""
    match part:
        case Text(text=text) | Thinking(text=text):
            return _words(text)
        case ToolCall():
            return 1 + _words(_arguments(part))
        case ToolResult(parts=parts):
            return sum(count(inner) for inner in parts)
        case _:
            return 1


def _words(text: str) -> int:
    return len(text.split()) + text[-1:].isspace()


def _arguments(call: ToolCall) -> str:
    return json.dumps(call.arguments, ensure_ascii=False) if call.arguments is not None else call.raw or ""


def stop_at(parts: tuple[Part, ...], stops: tuple[str, ...]) -> tuple[Part, ...]:
    """Return the parts up to the first stop text, which may begin in one part and end in the next."""
    text = "".join([part.text for part in parts if isinstance(part, Text)])
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return parts
    left, kept = min(found), list[Part]()
    for part in parts:
        if not isinstance(part, Text):
            kept.append(part)
        elif len(part.text) <= left:
            kept.append(part)
            left -= len(part.text)
        else:
            return (*kept, part.model_copy(update={"text": part.text[:left]})) if left else tuple(kept)
    return tuple(kept)


def shorten(parts: tuple[Part, ...], limit: int) -> tuple[tuple[Part, ...], bool]:
    """Return the first `limit` tokens of an answer, and whether anything was cut."""
    kept: list[Part] = []
    for part in parts:
        size = count(part)
        if size <= limit:
            kept.append(part)
            limit -= size
            continue
        if limit:
            kept.append(_beginning(part, limit))
        return tuple(kept), True
    return parts, False


def _beginning(part: Part, limit: int) -> Part:
    match part:
        case Text(text=text) | Thinking(text=text):
            return part.model_copy(update={"text": "".join(tokens(text)[:limit])})
        case ToolCall():
            # Its name is the first token. Arguments that were cut off are not JSON any more.
            arguments, raw = parse_arguments("".join(tokens(_arguments(part))[: limit - 1]) or "{")
            return part.model_copy(update={"arguments": arguments, "raw": raw})
        case _:
            return part
