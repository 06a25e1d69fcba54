"""From what users write to a `Request`: prompts of many shapes, and keywords out of a closed set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError

from .backends import TABLE, known
from .errors import ConfigError, InvalidRequest, UnknownSetting, suggest
from .types import Message, OnUnsupported, Part, Request, Schema, Settings, Text, Tool

__all__ = ["Asking", "Prompt", "messages", "settings"]

Prompt: TypeAlias = "str | Part | Message | Sequence[str | Part | Message]"

_PARTS: tuple[type, ...] = get_args(get_args(Part)[0])
_SETTINGS = frozenset(Settings.model_fields)
# What `require` may name beside settings: things a backend may have to drop or change.
_REQUIRABLE = _SETTINGS | {"tools", "output_schema", "system", "dimensions", "input_type", "media", "thinking"}


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask: what an `LLM` was made with, and after `over` what one call says beside it."""

    settings: Settings = field(default_factory=Settings)
    system: str | None = None
    on_unsupported: OnUnsupported = "warn"
    require: frozenset[str] = frozenset()
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
            changes["system"] = system
        if on_unsupported is not None:
            changes["on_unsupported"] = _on_unsupported(on_unsupported)
        if require is not None:
            changes["require"] = self.require | _require(require)
        if extra is not None:
            changes["extra"] = _merged(self.extra, _extra(extra))
        return replace(self, **changes) if changes else self

    def request(
        self, model: str, prompt: Prompt, *, tools: Sequence[Tool] = (), output_schema: Schema | None = None
    ) -> Request:
        """Return the request for one prompt."""
        return Request(
            model=model,
            messages=messages(prompt, system=self.system),
            settings=self.settings,
            tools=tuple(tools),
            output_schema=output_schema,
            **self.common(),
        )

    def common(self) -> dict[str, Any]:
        """Return the fields that every kind of request has."""
        return {"extra": self.extra, "on_unsupported": self.on_unsupported, "require": self.require}


def settings(given: Mapping[str, Any], *, over: Settings | None = None) -> Settings:
    """Return settings out of keywords, laid over others.

    Raises:
        UnknownSetting: For a name that is none; with the nearest one.
        ConfigError: For a value that cannot be.
    """
    for name in given:
        if name not in _SETTINGS:
            raise UnknownSetting(
                f"unknown setting {name!r}{suggest(name, _SETTINGS)}; settings: {', '.join(sorted(_SETTINGS))}; "
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
        f"{'.'.join(str(place) for place in item['loc'])}={item['input']!r}: {item['msg']}" for item in error.errors()
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


def _on_unsupported(value: str) -> OnUnsupported:
    if value not in get_args(OnUnsupported):
        raise ConfigError(f"on_unsupported={value!r}: must be one of {', '.join(get_args(OnUnsupported))}")
    return value  # type: ignore[return-value]  # checked above


def _require(names: Iterable[str]) -> frozenset[str]:
    found = frozenset([names] if isinstance(names, str) else names)
    for name in sorted(found - _REQUIRABLE):
        raise UnknownSetting(f"require names {name!r}, which is no setting{suggest(name, _REQUIRABLE)}")
    return found


def _extra(extra: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    for backend, options in extra.items():
        if backend not in TABLE and backend not in known():
            raise UnknownSetting(f"extra names backend {backend!r}, which is none{suggest(backend, known())}")
        if not isinstance(options, Mapping):
            raise ConfigError(
                f"extra[{backend!r}] must be a dict of the vendor's options, not {type(options).__name__}"
            )
    return extra


def _merged(
    base: Mapping[str, Mapping[str, Any]], more: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Mapping[str, Any]]:
    return {name: {**base.get(name, {}), **more.get(name, {})} for name in {**base, **more}}
