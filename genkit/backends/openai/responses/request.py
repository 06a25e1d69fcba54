"""Requests of the Responses interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....errors import InvalidRequest, suggest
from ....types import Message, Request, Settings, Text, ToolChoice
from ...base import Losses
from ...checks import check_prompt
from ...history import mended
from ...services import Service
from ...wire import WireRequest
from .. import models
from ..cache import Cache
from ..chat import lose_tool_settings, merge_extra, merged_extra
from ..models import SAMPLING, SAMPLING_DEFAULTS, Family
from ..strict import strictness
from .input import Input

__all__ = ["encode"]

JSON = dict[str, Any]

_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"

_SUPPORTED = frozenset(
    {
        "logprobs",
        "max_tokens",
        "parallel_tool_calls",
        "reasoning",
        "temperature",
        "timeout",
        "tool_choice",
        "top_logprobs",
        "top_p",
    }
)

_CACHES = frozenset({"cache_prompt"})

# Smaller limits are answered with 400 by OpenAI and Azure.
_LEAST_TOKENS = 16

# Input by other ways than messages.
_OTHER_INPUT = frozenset({"conversation", "input", "previous_response_id", "prompt"})


def encode(
    request: Request, service: Service, *, origin: str, stream: bool, family: Family | None = None
) -> WireRequest:
    """Translate a request; `family` holds the model's rules, where they are not the table's.

    Raises:
        Unsupported: For what cannot be sent and must not be dropped.
        InvalidRequest: For a request without a prompt, or one that contradicts itself.
    """
    try:
        family = family or models.family(request.model, service)
        return _encode(request, service, family, origin=origin, stream=stream)
    except InvalidRequest as error:
        error.backend = service.name
        raise


def _encode(request: Request, service: Service, family: Family, *, origin: str, stream: bool) -> WireRequest:
    extra = merged_extra(request, service)
    losses = Losses(request, backend=service.name)
    cache = Cache(request, service, family, losses, api="responses")
    # A background answer must be kept, or nobody could fetch it; "store" unsaid means that the vendor keeps it.
    store: JSON = {} if extra.get("background") else {"store": False}
    stored = bool(extra.get("store", not store))

    body: JSON = {
        "model": request.model,
        **_prompt(request, extra, losses, cache, origin=origin, service=service, family=family, stored=stored),
    }
    body.update(_tools(request, service, extra, losses))
    body.update(_settings(request, service, family, extra, losses, cache=cache))
    body.update(store)
    include = [_ENCRYPTED] if (family.reasons or family.efforts) and not family.free and not stored else []
    if body.pop("logprobs", False):
        include.append(_LOGPROBS)
    if "include" in extra:
        # To ask for nothing is an answer too: a model whose name tells nothing may refuse the question.
        more = extra.pop("include")
        include = list(dict.fromkeys([*include, *more])) if more else []
    if include:
        body["include"] = include
    if stream:
        body["stream"] = True
    merge_extra(body, extra, stream=stream)
    cache.settle(body)
    return WireRequest(
        path="/responses",
        body=body,
        model=request.model,
        api="responses",
        origin=origin,
        warnings=tuple(losses.warnings),
        timeouts=request.settings.timeout,
    )


def _prompt(
    request: Request,
    extra: JSON,
    losses: Losses,
    cache: Cache,
    *,
    origin: str,
    service: Service,
    family: Family,
    stored: bool,
) -> JSON:
    """Return `instructions` and `input`."""
    messages = request.messages
    other = bool(_OTHER_INPUT & extra.keys())
    if not other:
        check_prompt(request)
        messages = mended(messages, losses, foreign_call=lambda part: (part.native or {}).get("call_id"))
    before = 0
    instructions: JSON = {}
    if (other or any(message.parts for message in messages[1:])) and (
        text := _instructions(messages, cache)
    ) is not None:
        instructions = {"instructions": text}
        messages, before = messages[1:], 1
    filled = Input(losses, cache, origin=origin, service=service, family=family, stored=stored)
    items = filled.fill(messages, before=before)
    if not items and not other:
        raise InvalidRequest("nothing of the prompt can be sent; pass a text, a message or a list of them")
    if len(items) == 1 and items[0].keys() == {"role", "content"} and items[0]["role"] == "user":
        only = items[0]["content"]
        return {**instructions, "input": only if isinstance(only, str) else items}
    return {**instructions, "input": items} if items else instructions


def _instructions(messages: Sequence[Message], cache: Cache) -> str | None:
    """Return the system message where the field says the same: it is the only one, the first, and one text.

    One that ends what is cached must be a block.
    """
    systems = [message for message in messages if message.role == "system"]
    if len(systems) != 1 or messages[0] is not systems[0] or systems[0].name is not None:
        return None
    match systems[0].parts:
        case (Text(text=text, citations=(), native=None, refusal=False) as part,) if not (part.cache and cache.breaks):
            cache.end(part, None)
            return text
        case _:
            return None


def _tools(request: Request, service: Service, extra: JSON, losses: Losses) -> JSON:
    """Return tools, the choice among them, and the form of the answer."""
    body: JSON = {}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                **({"description": tool.description} if tool.description else {}),
                "parameters": tool.parameters,
                # Unsaid it would be true here, and every parameter required.
                "strict": strictness(
                    tool.strict, tool.parameters, service, losses, subject="strict", what=f"that of {tool.name!r}"
                ),
            }
            for tool in request.tools
        ]
    any_tools = bool(request.tools or extra.get("tools"))
    if request.settings.tool_choice is not None and (choice := _choice(request, request.settings.tool_choice, extra)):
        body["tool_choice"] = choice
    if request.settings.parallel_tool_calls is not None and any_tools:
        body["parallel_tool_calls"] = request.settings.parallel_tool_calls
    if not any_tools:
        lose_tool_settings(request.settings.given(), losses)
    if (schema := request.output_schema) is not None:
        strict = strictness(
            schema.strict, schema.json_schema, service, losses, subject="output_schema", what=repr(schema.name)
        )
        form: JSON = {"type": "json_schema", "name": schema.name, "schema": schema.json_schema, "strict": strict}
        if schema.description:
            form["description"] = schema.description
        body["text"] = {"format": form}
    return body


def _choice(request: Request, choice: ToolChoice, extra: JSON) -> Any:
    """Return `tool_choice`, or None where there is nothing to choose from and nothing is asked for."""
    names = {tool.name for tool in request.tools}
    if not names and not extra.get("tools"):
        if choice.mode in ("auto", "none"):
            return None
        raise InvalidRequest(f"tool_choice {choice.mode!r} asks for a tool call, but the request has no tools")
    if choice.mode == "named" and not choice.names:
        raise InvalidRequest("tool_choice 'named' needs the names of the tools to choose from")
    for name in choice.names:
        if name not in names and not extra.get("tools"):
            raise InvalidRequest(
                f"tool_choice names {name!r}, which is no tool of this request{suggest(name, names)}; "
                f"tools: {', '.join(sorted(names))}"
            )
    if not choice.names or choice.mode == "none":
        return choice.mode
    if choice.mode == "named" and len(choice.names) == 1:
        return {"type": "function", "name": choice.names[0]}
    mode = "auto" if choice.mode == "auto" else "required"
    return {
        "type": "allowed_tools",
        "mode": mode,
        "tools": [{"type": "function", "name": name} for name in choice.names],
    }


def _settings(request: Request, service: Service, family: Family, extra: JSON, losses: Losses, *, cache: Cache) -> JSON:
    settings = request.settings
    supported = _SUPPORTED | {"n"} if settings.n == 1 else _SUPPORTED
    supported |= _CACHES & service.settings
    given = losses.settings(settings, supported, where="OpenAI's Responses interface")
    body: JSON = {}
    if "reasoning" in given and (reasoning := _reasoning(settings, request.model, family, losses)):
        body["reasoning"] = reasoning
    # Sampling is judged by the effort that is sent in the end, and `extra` wins.
    sent: JSON = {"reasoning": body.get("reasoning", {})}
    merge_extra(sent, {name: extra[name] for name in extra.keys() & sent.keys()}, stream=False)
    effort = sent["reasoning"].get("effort") if isinstance(sent["reasoning"], dict) else None
    body.update(_sampling(settings, given, request.model, losses, reasons=not family.samples(effort)))
    if "max_tokens" in given and settings.max_tokens is not None:
        body["max_output_tokens"] = settings.max_tokens
        if settings.max_tokens < _LEAST_TOKENS and service.rules != "free":
            body["max_output_tokens"] = _LEAST_TOKENS
            losses.lose("max_tokens", f"this interface takes no limit below {_LEAST_TOKENS}", kind="changed")
    if "cache_prompt" in given:
        body.update(cache.options())
    return body


def _sampling(settings: Settings, given: set[str], model: str, losses: Losses, *, reasons: bool) -> JSON:
    """Return what steers the choice of tokens, and `logprobs`, which becomes an entry of `include`."""
    asked = {name for name in given & SAMPLING if getattr(settings, name) is not False}
    if reasons:
        for name in sorted(asked):
            if getattr(settings, name) != SAMPLING_DEFAULTS[name]:
                losses.lose(name, f"{model!r} does not take it while it reasons")
        return {}
    body: JSON = {name: getattr(settings, name) for name in ("temperature", "top_p") if name in asked}
    if "top_logprobs" in asked and settings.logprobs is False:
        losses.lose("top_logprobs", "logprobs=False asks for none")
    elif asked & {"logprobs", "top_logprobs"}:
        body["logprobs"] = True
        if "top_logprobs" in asked:
            body["top_logprobs"] = settings.top_logprobs
    return body


def _reasoning(settings: Settings, model: str, family: Family, losses: Losses) -> JSON:
    asked = settings.reasoning
    assert asked is not None
    body: JSON = {}
    if asked.budget is not None:
        losses.lose("reasoning", "OpenAI takes an effort word, no budget of tokens")
    if asked.effort is not None:
        word = family.nearest(asked.effort)
        if word is None and asked.effort != "none":
            losses.lose("reasoning", f"{model!r} does not reason")
        elif word is not None:
            body["effort"] = word
            if word != asked.effort:
                losses.lose("reasoning", f"{model!r} has no effort {asked.effort!r}; {word!r} is sent", kind="changed")
    if asked.summary is not None:
        if family.reasons or family.efforts:
            body["summary"] = asked.summary
        else:
            losses.lose("reasoning", f"{model!r} does not reason, so there is no summary")
    return body
