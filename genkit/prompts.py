"""From what users write to a `Request`: prompts of many shapes, and keywords out of a closed set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from pydantic import ValidationError

from .backends import TABLE, known
from .errors import ConfigError, InvalidRequest, UnknownSetting, suggest
from .types import Message, OnUnsupported, Part, Reasoning, Request, Schema, Settings, Text, Timeouts, Tool, ToolChoice

__all__ = ["AskDict", "Asking", "CallDict", "Prompt", "SettingsDict", "messages", "settings"]

Prompt: TypeAlias = "str | Part | Message | Sequence[str | Part | Message]"

_PARTS: tuple[type, ...] = get_args(get_args(Part)[0])
_SETTINGS = frozenset(Settings.model_fields)
# Keywords that are right, and in the wrong place in a call.
_CONSTRUCTION = frozenset({"model", "backend", "retries", "fallback", "concurrency", "requests_per_minute"}).union(
    *(row.options or () for row in TABLE.values())
)
# What `require` may name beside settings: things a backend may have to drop or change.
_REQUIRABLE = _SETTINGS | {"tools", "output_schema", "system", "dimensions", "input_type", "media", "thinking"}


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


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask: what an `LLM` was made with, and after `over` what one call says beside it."""

    settings: Settings = field(default_factory=Settings)
    system: str | None = None
    on_unsupported: OnUnsupported = "warn"
    require: frozenset[str] = frozenset()
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backend: str = ""

    def over(
        self,
        given: Mapping[str, Any],
        *,
        system: str | None = None,
        on_unsupported: OnUnsupported | None = None,
        require: Iterable[str] | None = None,
        extra: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Asking:
        """Return this with what a call says laid over it; None says nothing."""
        changes: dict[str, Any] = {}
        if given:
            changes["settings"] = settings(given, over=self.settings)
        if system is not None:
            changes["system"] = _text(system, "system")
        if on_unsupported is not None:
            changes["on_unsupported"] = _on_unsupported(on_unsupported)
        if require is not None:
            changes["require"] = self.require | _require(require)
        if extra is not None:
            changes["extra"] = _merged(self.extra, _extra(extra, own=self.backend))
        return replace(self, **changes) if changes else self

    def request(
        self, model: str, prompt: Prompt, *, tools: Sequence[Tool] = (), output_schema: Schema | None = None
    ) -> Request:
        """Return the request for one prompt."""
        _check_form(tools, output_schema)
        return Request(
            model=model,
            messages=messages(prompt, system=self.system),
            settings=self.settings,
            tools=tuple(tools),
            output_schema=output_schema,
            **self.common(),
        )

    def under(self, request: Request) -> Request:
        """Return a request of another `LLM` with these defaults under what it says itself: for a fallback."""
        own: dict[str, Any] = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        said = {name: getattr(request.settings, name) for name in request.settings.model_fields_set}
        changes: dict[str, Any] = {
            "settings": Settings(**{**own, **said}),
            "extra": _merged(self.extra, request.extra),
            "require": self.require | request.require,
        }
        if self.system and request.messages[0].role != "system":
            changes["messages"] = (Message.system(self.system), *request.messages)
        if request.on_unsupported == "warn":
            changes["on_unsupported"] = self.on_unsupported
        return request.model_copy(update=changes)

    def common(self) -> dict[str, Any]:
        """Return the fields that every kind of request has."""
        return {"extra": self.extra, "on_unsupported": self.on_unsupported, "require": self.require}


def _check_form(tools: Any, output_schema: Any) -> None:
    if not isinstance(tools, Sequence) or not all(isinstance(tool, Tool) for tool in tools):
        raise ConfigError(f"tools={tools!r:.80}: must be a list of Tool")
    if not isinstance(output_schema, Schema | None):
        raise ConfigError(f"output_schema must be a Schema, not {type(output_schema).__name__}")


def settings(given: Mapping[str, Any], *, over: Settings | None = None) -> Settings:
    """Return settings out of keywords, laid over others.

    Raises:
        UnknownSetting: For a name that is none; with the nearest one.
        ConfigError: For a value that cannot be.
    """
    for name in given:
        if name in _CONSTRUCTION:
            raise UnknownSetting(f"{name!r:.80} is said to LLM(...) or with_(...), not to a call")
        if name not in _SETTINGS:
            raise UnknownSetting(
                f"unknown setting {name!r:.80}{suggest(name, _SETTINGS)}; settings: {', '.join(sorted(_SETTINGS))}; "
                "what only one vendor has goes into extra={'backend': {...}}"
            )
    base = {name: getattr(over, name) for name in over.model_fields_set} if over is not None else {}
    try:
        return Settings(**{**base, **given})
    except ValidationError as error:
        raise ConfigError(f"invalid setting {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    """Say what is wrong in one line per value, without pydantic's address book."""
    return "; ".join(
        f"{'.'.join(str(place) for place in item['loc'])}={item['input']!r:.80}: {item['msg']}"
        for item in error.errors()
    )


def messages(prompt: Prompt, *, system: str | None = None) -> tuple[Message, ...]:
    """Return the conversation a prompt means.

    A string or part is a user message; strings and parts beside each other in a sequence make one user message;
    messages stand for themselves.

    Raises:
        InvalidRequest: If the prompt is empty or of another type.
    """
    found: list[Message] = []
    loose: list[str | Part] = []
    for item in [prompt] if isinstance(prompt, (str, Message, *_PARTS)) else _items(prompt):
        if isinstance(item, Message):
            if loose:
                found.append(Message.user(*loose))
                loose = []
            found.append(item)
        elif isinstance(item, (str, *_PARTS)):
            loose.append(item)  # type: ignore[arg-type]  # checked against the members of Part
        else:
            raise InvalidRequest(
                f"a prompt is made of str, parts and Message, not {type(item).__name__}: {str(item)[:80]!r}"
            )
    if loose:
        found.append(Message.user(*loose))
    if not any(_says_something(message) for message in found):
        raise InvalidRequest("the prompt is empty: no message has any text, media or tool result")
    return (Message.system(system), *found) if system else tuple(found)


def _items(prompt: Any) -> Iterable[Any]:
    if isinstance(prompt, (bytes, bytearray, Mapping)) or not isinstance(prompt, Iterable):
        raise InvalidRequest(
            f"a prompt is a str, a part, a Message, or a sequence of these, not {type(prompt).__name__}"
        )
    return prompt


def _says_something(message: Message) -> bool:
    return any(not isinstance(part, Text) or part.text for part in message.parts)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be text, not {type(value).__name__}")
    return value


def _on_unsupported(value: str) -> OnUnsupported:
    if value not in get_args(OnUnsupported):
        raise ConfigError(f"on_unsupported={value!r:.80}: must be one of {', '.join(get_args(OnUnsupported))}")
    return value  # type: ignore[return-value]  # checked above


def _require(names: Any) -> frozenset[str]:
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"require={names!r:.80}: must be names of settings")
    found = frozenset([names] if isinstance(names, str) else names)
    for name in sorted(found - _REQUIRABLE):
        raise UnknownSetting(f"require names {name!r:.80}, which is no setting{suggest(name, _REQUIRABLE)}")
    return found


def _extra(extra: Any, *, own: str) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(extra, Mapping):
        raise ConfigError(f"extra={extra!r:.80}: must be a dict, as in extra={{'openai': {{'user': 'u1'}}}}")
    for backend, options in extra.items():
        if backend not in TABLE and backend != own and backend not in known():
            raise UnknownSetting(f"extra names backend {backend!r:.80}, which is none{suggest(backend, known())}")
        if not isinstance(options, Mapping):
            raise ConfigError(
                f"extra[{backend!r}] must be a dict of the vendor's options, not {type(options).__name__}"
            )
        for name in options:
            if not isinstance(name, str):
                raise ConfigError(f"extra[{backend!r}] has a name that is no text: {name!r:.80}")
    return extra


def _merged(
    base: Mapping[str, Mapping[str, Any]], more: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    return {name: {**base.get(name, {}), **more.get(name, {})} for name in {**base, **more}}
