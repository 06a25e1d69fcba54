"""Chat Completions: genkit's requests as its JSON. The way back is in `answers`.

OpenAI's own models and every compatible service are asked through here; where they differ is data, in `services` and
`models`.
"""

from __future__ import annotations

from typing import Any

from ...errors import ConfigError, InvalidRequest
from ...types import EmbedRequest, Request, Tool, ToolChoice
from ..base import Losses
from ..checks import check_choice, check_prompt
from ..services import Service
from ..wire import WireRequest
from . import models
from .answers import Decoder, decode
from .cache import Cache
from .messages import encode_messages
from .strict import strictness

__all__ = ["Decoder", "decode", "encode", "lose_tool_settings", "merge_extra"]

JSON = dict[str, Any]

# Sent under the same name, with the same meaning.
_PLAIN = (
    "temperature",
    "top_p",
    "top_k",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
)
_MOST_STOPS = 4


def encode(
    request: Request, service: Service, *, origin: str, stream: bool, family: models.Family | None = None
) -> WireRequest:
    """Translate a request.

    Args:
        request: The request; `extra` is taken under the backend's name, and under "openai" on Azure too.
        service: Where it goes.
        family: The model's rules, where they are not the table's.
        origin: Mark of native data that may be sent back there.
        stream: Whether the answer is to come in pieces.

    Raises:
        InvalidRequest: For a request that no Chat service could answer, such as an empty prompt.
        Unsupported: For what the service lacks and the caller cannot do without.
    """
    check_prompt(request)
    family = family or models.family(request.model, service)
    return _Encoding(request, service, family, origin).wire(stream=stream)


def merged_extra(request: Request | EmbedRequest, service: Service) -> JSON:
    """Return the vendor-only options meant for this service. Azure's wire is OpenAI's, so it takes those too."""
    if not request.extra:
        return {}
    names = ("openai", service.name) if service.rules == "deployment" else (service.name,)
    return {option: value for name in names for option, value in request.extra.get(name, {}).items()}


def merge_extra(body: JSON, extra: JSON, *, stream: bool) -> None:
    """Put vendor-only options into a body, last, so that they win.

    Tools are added to the request's own, objects are merged key by key, and everything else is replaced.

    Raises:
        ConfigError: For "stream", which is a method here.
    """
    if "stream" in extra and bool(extra["stream"]) != stream:
        raise ConfigError('extra={"stream": ...} cannot choose streaming: call stream() or generate()')
    for name, value in extra.items():
        if name == "stream":
            continue
        match body.get(name), value:
            case dict() as before, dict() if name != "response_format":
                body[name] = {**before, **value}
            case list() as before, list() if name == "tools":
                body[name] = [*before, *value]
            case _:
                body[name] = value


class _Encoding:
    """One request on its way to a body; every method fills in its share."""

    def __init__(self, request: Request, service: Service, family: models.Family, origin: str) -> None:
        self.request = request
        self.settings = request.settings
        self.service = service
        self.family = family
        self.losses = Losses(request, backend=service.name)
        self.cache = Cache(request, service, family, self.losses, api="chat")
        self.origin = origin
        self.extra = merged_extra(request, service)
        self.given: set[str] = set()
        if request.settings.model_fields_set:
            self.given = self.losses.settings(request.settings, service.settings | {"timeout"}, where=service.name)
        self.body: JSON = {"model": request.model}

    def wire(self, *, stream: bool) -> WireRequest:
        """Return the whole."""
        self.body["messages"] = encode_messages(
            self.request.messages, self.service, self.family, self.losses, cache=self.cache, origin=self.origin
        )
        if self.given or self.request.tools:
            self.tools()
        self.schema()
        if self.given:
            effort = self.reasoning()
            self.sampling(self.extra.get("reasoning_effort", effort))
            self.limits()
        if stream:
            self.body["stream"] = True
            if self.service.stream_usage:
                self.body["stream_options"] = {"include_usage": True}
        merge_extra(self.body, self.extra, stream=stream)
        self.cache.settle(self.body)
        if not self.family.free:
            _check_json_mode(self.body, backend=self.service.name)
        return WireRequest(
            path="/chat/completions",
            body=self.body,
            model=self.request.model,
            api="chat",
            origin=self.origin,
            warnings=tuple(self.losses.warnings),
            timeouts=self.settings.timeout,
        )

    # ------------------------------------------------------------ settings

    def sampling(self, effort: str | None) -> None:
        """Fill in what governs the choice of tokens; a model that reasons refuses most of it."""
        samples = self.family.samples(effort)
        for name in _PLAIN:
            if name not in self.given:
                continue
            value = getattr(self.settings, name)
            if name not in models.SAMPLING or samples:
                self.body[name] = value
            elif value != models.SAMPLING_DEFAULTS[name]:
                way = ', as with reasoning="none"' if "none" in self.family.efforts else ""
                self.losses.lose(name, f"{self.request.model!r} takes it only while it does not reason{way}")
        if "top_logprobs" in self.body and self.settings.logprobs is False:
            del self.body["top_logprobs"]
            self.losses.lose("top_logprobs", "logprobs=False asks for none")
        elif "top_logprobs" in self.body:
            self.body["logprobs"] = True

    def limits(self) -> None:
        """Fill in what ends an answer, and the seed."""
        if "max_tokens" in self.given:
            # Reasoning models refuse the older name, and every model of OpenAI's takes the newer one.
            name = self.service.max_tokens if self.family.free else "max_completion_tokens"
            self.body[name] = self.settings.max_tokens
        if "seed" in self.given:
            self.body[self.service.seed] = self.settings.seed
        if "stop" in self.given:
            self.stop()
        if "cache_prompt" in self.given:
            self.body.update(self.cache.options())

    def stop(self) -> None:
        """Fill in the stop texts, all of them or none without the caller's leave."""
        stop, name = list(self.settings.stop), self.service.name
        if not self.family.stop:
            self.losses.lose("stop", f"{self.request.model!r} takes no stop texts", guarantee=True)
            return
        if not self.family.free and len(stop) > _MOST_STOPS:
            why = f"{name} takes at most {_MOST_STOPS} stop texts, and {len(stop)} are given"
            self.losses.lose("stop", why, kind="changed", guarantee=True)
            stop = stop[:_MOST_STOPS]
        self.body["stop"] = stop

    def reasoning(self) -> str | None:
        """Ask for the effort, and return the word that is sent."""
        wanted = self.settings.reasoning
        if wanted is None or "reasoning" not in self.given:
            return None
        if wanted.summary is not None:
            self.losses.lose("reasoning", "Chat Completions shows no summary of the reasoning")
        if self.service.reasoning == "reasoning":
            effort = {"effort": wanted.effort} if wanted.effort else {}
            budget = {"max_tokens": wanted.budget} if wanted.budget is not None else {}
            if effort or budget:
                self.body["reasoning"] = {**effort, **budget}
            return wanted.effort
        if wanted.budget is not None:
            self.losses.lose("reasoning", f"{self.service.name} takes no budget in tokens, only an effort word")
        return self.effort(wanted.effort) if wanted.effort is not None else None

    def effort(self, wanted: str) -> str | None:
        """Fill in the effort word the model knows that is nearest to the wanted one."""
        word, model = self.family.nearest(wanted), self.request.model
        if word is None:
            # A model that never reasons does what "none" asks for.
            if wanted != "none" or self.family.reasons:
                self.losses.lose("reasoning", f"the effort of {model!r} cannot be chosen")
            return None
        if word != wanted:
            self.losses.lose("reasoning", f"{model!r} has no effort {wanted!r}; {word!r} is sent", kind="changed")
        self.body["reasoning_effort"] = word
        return word

    # ------------------------------------------------------------ tools and schema

    def tools(self) -> None:
        """Fill in the tools and what is said about their use."""
        if self.request.tools:
            self.body["tools"] = [_tool(tool, self.service, self.losses) for tool in self.request.tools]
        any_tools = bool(self.request.tools) or "tools" in self.extra or "functions" in self.extra
        if not any_tools:
            lose_tool_settings(self.given, self.losses)
        elif "parallel_tool_calls" in self.given:
            self.body["parallel_tool_calls"] = self.settings.parallel_tool_calls
        choice = self.settings.tool_choice
        if choice is not None and "tool_choice" in self.given:
            further = "tools" in self.extra or "functions" in self.extra
            check_choice(choice, self.request, further=further)
            if any_tools:
                self.choice(choice)

    def choice(self, choice: ToolChoice) -> None:
        """Fill in which tools may or must be called."""
        named = [{"type": "function", "function": {"name": name}} for name in choice.names]
        mode = "required" if choice.mode == "named" else choice.mode
        if not named or mode == "none":
            self.body["tool_choice"] = mode
        elif choice.mode == "named" and len(named) == 1:
            self.body["tool_choice"] = named[0]
        elif self.service.named_tools:
            allowed = {"mode": mode, "tools": named}
            self.body["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
        else:
            why = f"{self.service.name} cannot choose among several named tools; only those are sent"
            self.losses.lose("tools", why, kind="changed")
            self.only(choice.names)
            self.body["tool_choice"] = mode

    def only(self, names: tuple[str, ...]) -> None:
        """Leave out all tools but these, the vendor's own too."""
        for place in (self.body, self.extra):
            tools = place.pop("tools", None)
            if isinstance(tools, list) and (named := [tool for tool in tools if _name(tool) in names]):
                place["tools"] = named

    def schema(self) -> None:
        """Fill in the form of the answer."""
        schema = self.request.output_schema
        if schema is None:
            return
        if not self.service.schemas:
            why = f"{self.service.name} cannot hold an answer to a JSON schema"
            self.losses.lose("output_schema", why, guarantee=True)
            return
        form: JSON = {"name": schema.name, "schema": schema.json_schema}
        if schema.description is not None:
            form["description"] = schema.description
        if self.service.strict:
            form["strict"] = strictness(
                schema.strict,
                schema.json_schema,
                self.service,
                self.losses,
                subject="output_schema",
                what=repr(schema.name),
            )
        self.body["response_format"] = {"type": "json_schema", "json_schema": form}


def _tool(tool: Tool, service: Service, losses: Losses) -> JSON:
    function: JSON = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is not None and service.strict:
        function["strict"] = strictness(
            tool.strict, tool.parameters, service, losses, subject="strict", what=f"that of {tool.name!r}"
        )
    elif tool.strict:
        losses.lose("strict", f"{service.name} does not hold the arguments of {tool.name!r} to their schema")
    return {"type": "function", "function": function}


def _name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def lose_tool_settings(given: set[str], losses: Losses) -> None:
    """Report what is said about tools in a request without any: the vendor refuses it there."""
    for name in sorted(given & {"parallel_tool_calls", "tool_choice"}):
        losses.lose(name, "the request has no tools")


def _check_json_mode(body: JSON, *, backend: str) -> None:
    """Refuse the one request that OpenAI refuses for a word: "json" must stand in the messages of JSON mode."""
    form = body.get("response_format")
    if not isinstance(form, dict) or form.get("type") != "json_object":
        return
    if not any("json" in text.lower() for text in _texts(body["messages"])):
        raise InvalidRequest(
            'response_format "json_object" needs the word "json" somewhere in the messages: say that JSON is wanted',
            backend=backend,
        )


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for item in value.values() for text in _texts(item)]
        case list():
            return [text for item in value for text in _texts(item)]
        case _:
            return []
