"""From a request to the body of Converse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ...errors import InvalidRequest, Unsupported
from ...events import dump_json
from ...types import Request, Schema, Text, Tool, ToolCall, ToolChoice, ToolResult
from ..base import Losses
from ..extra import merged
from ..wire import WireRequest
from .messages import Conversation, cache_point
from .models import CLAUDE_BUDGETS, Family
from .names import ToolNames
from .schemas import Unfit, closed, inlined

__all__ = ["ANSWER_TOOL", "SETTINGS", "ConverseRequest", "encode", "path_of", "settings_of"]

JSON = dict[str, Any]

ANSWER_TOOL = "genkit_answer"
"""The tool whose arguments are the answer, where a model can be held to a schema in no other way."""

SETTINGS = frozenset({"temperature", "top_p", "max_tokens", "stop", "reasoning", "tool_choice", "cache_prompt"})
_INFERENCE = {"temperature": "temperature", "top_p": "topP", "max_tokens": "maxTokens"}
_LEAST_BUDGET = 1024
_MOST_POINTS = 4
_LONG = "1h"
_WORDS = ("minimal", "low", "medium", "high", "xhigh", "max")
_TOOLS = "toolConfig"
# Each holds one of several objects.
_CHOICES = frozenset({"toolChoice", "tool_choice", "structure"})


@dataclass(frozen=True, slots=True)
class ConverseRequest(WireRequest):
    """What the decoder has to know beside the body.

    Attributes:
        answer_tool: Whether calls of `ANSWER_TOOL` are the answer.
        wrapped: Whether the answer stands under the key "value" there, because it is no object.
        names: Tool names by how they are sent, where that differs.
        maker: Whose models may read the reasoning of the answer.
    """

    answer_tool: bool = False
    wrapped: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    maker: str = ""


def path_of(model: str, operation: str, *, backend: str) -> str:
    """Return the path of an operation; a colon and a slash in a model's id are percent-encoded.

    Raises:
        InvalidRequest: If the id cannot stand in a path.
    """
    if model in ("", ".", ".."):
        raise InvalidRequest(f"{model!r} is no model id on Bedrock", backend=backend)
    try:
        return f"/model/{quote(model, safe='')}/{operation}"
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{model!r} is no model id on Bedrock: {error}", backend=backend) from error


def settings_of(family: Family) -> frozenset[str]:
    """Return the names of the settings that a model honours."""
    found = SETTINGS | set(family.fields) | {"timeout"}
    if family.sampling == "none":
        found -= {"temperature", "top_p"}
    if not family.reasoning:
        found -= {"reasoning"}
    if not family.cache:
        found -= {"cache_prompt"}
    if family.stops == 0:
        found -= {"stop"}
    if not (family.tools and "any" in family.choices):
        found -= {"tool_choice"}
    return found


def encode(request: Request, family: Family, *, origin: str, stream: bool, backend: str) -> ConverseRequest:
    """Translate a request.

    Raises:
        InvalidRequest: For a request that no model could answer, such as an empty prompt.
        Unsupported: For what the model lacks and the caller cannot do without.
    """
    parts = [part for message in request.messages for part in message.parts]
    if all(isinstance(part, Text) and not part.text for part in parts):
        raise InvalidRequest("the prompt is empty: give at least one message with text or another part in it")
    return _Encoding(request, family, origin, backend).wire(stream=stream)


class _Encoding:
    """One request on its way to a body; every method fills in its share."""

    def __init__(self, request: Request, family: Family, origin: str, backend: str) -> None:
        self.request = request
        self.settings = request.settings
        self.family = family
        self.origin = origin
        self.backend = backend
        self.losses = Losses(request, backend=backend)
        self.extra: JSON = request.extra.get(backend, {}) if request.extra else {}
        self.further = _further_tools(self.extra)
        self.given: set[str] = set()
        supported = set(settings_of(family))
        # To choose freely, or not at all, takes nothing of a model.
        if (choice := self.settings.tool_choice) is None or choice.mode in ("auto", "none"):
            supported.add("tool_choice")
        if self.settings.model_fields_set:
            self.given = self.losses.settings(self.settings, supported, where="Bedrock")
        self.body: JSON = {}
        self.inference: JSON = {}
        self.fields: JSON = {}
        self.tools: list[Tool] = []
        self.choice: JSON | None = None
        self.answer_tool = self.wrapped = False
        self.names = ToolNames(self._every_name())

    def wire(self, *, stream: bool) -> ConverseRequest:
        """Return the whole."""
        if self.settings.reasoning is not None and "reasoning" in self.given:
            self.reasoning()
        self.pick_tools()
        if self.request.output_schema is not None:
            self.schema(self.request.output_schema)
        self.messages()
        self.tool_config()
        self.sampling()
        if self.settings.cache_prompt:
            self.cache_prompt()
        for name, value in (("inferenceConfig", self.inference), ("additionalModelRequestFields", self.fields)):
            if value:
                self.body[name] = value
        self.limit_points()
        self.order_points()
        self.body = merged(self.body, self.extra, choices=_CHOICES)
        return ConverseRequest(
            path=path_of(self.request.model, "converse-stream" if stream else "converse", backend=self.backend),
            body=self.body,
            model=self.request.model,
            api="converse",
            origin=self.origin,
            warnings=tuple(self.losses.warnings),
            timeouts=self.settings.timeout,
            answer_tool=self.answer_tool,
            wrapped=self.wrapped,
            names=self.names.changed,
            maker=self.family.maker,
        )

    def _every_name(self) -> list[str]:
        calls = [part.name for message in self.request.messages for part in message.tool_calls]
        return list(dict.fromkeys([*(tool.name for tool in self.request.tools), *calls]))

    # ------------------------------------------------------------ turns

    def messages(self) -> None:
        """Fill in instructions and turns."""
        conversation = Conversation(
            self.family,
            self.losses,
            origin=self.origin,
            names=self.names,
            tools=bool(self.tools or self.further),
            prefill=self.family.prefill and "thinking" not in self.fields,
            backend=self.backend,
        )
        system, turns = conversation.encode(self.request.messages)
        self.body["messages"] = turns
        if system:
            self.body["system"] = system
        thinking = self.fields.get("thinking", {})
        if thinking.get("type") == "enabled" and _unsigned_loop(turns):
            # Claude refuses to think on in a turn whose thoughts are not its own.
            why = "the calls that are being answered came without reasoning of this model's; it goes on without"
            self.losses.lose("reasoning", why)
            del self.fields["thinking"]

    # ------------------------------------------------------------ tools

    def pick_tools(self) -> None:
        """Settle which tools are sent, and which of them must be called."""
        self.tools = list(self.request.tools)
        if self.tools and not self.family.tools:
            raise Unsupported(f"{self.request.model!r} calls no tools on Bedrock", backend=self.backend)
        choice = self.settings.tool_choice
        if choice is None or "tool_choice" not in self.given:
            return
        self._check_choice(choice)
        if choice.mode == "none":
            self._choose_none()
        elif self.tools or self.further:
            self._choose(choice)

    def _check_choice(self, choice: ToolChoice) -> None:
        """Refuse a choice that the request's tools cannot meet."""
        if choice.mode in ("required", "named") and not (self.tools or self.further):
            raise InvalidRequest(f"tool_choice={choice.mode!r} needs tools, and the request has none")
        if choice.mode == "named" and not choice.names:
            raise InvalidRequest('tool_choice "named" needs names: ToolChoice(mode="named", names=("lookup",))')
        known = {tool.name for tool in self.tools}
        missing = [name for name in choice.names if name not in known]
        if missing and known and not self.further:
            raise InvalidRequest(f"tool_choice names {missing}, and the tools are {sorted(known)}")

    def _choose_none(self) -> None:
        """Keep the model from calling: Claude can be told so, from others the tools are kept."""
        used = any(isinstance(part, ToolCall | ToolResult) for m in self.request.messages for part in m.parts)
        if self.family.no_tools and (self.further or (used and self.tools)):
            self.fields["tool_choice"] = {"type": "none"}
            return
        if self.further:
            why = "the tools in extra are sent, and this model cannot be kept from calling them"
            self.losses.lose("tool_choice", why, guarantee=True)
        self.tools = []

    def _choose(self, choice: ToolChoice) -> None:
        names = choice.names
        if choice.mode == "auto":
            if names:
                self._only(names)
            self.choice = {"auto": {}}
            return
        if self._thinks():
            why = "a model of Claude's that reasons cannot be made to call a tool"
            self.losses.lose("tool_choice", why, guarantee=True)
            return
        if len(names) == 1 and "tool" in self.family.choices:
            self.choice = {"tool": {"name": self.names.wire(names[0])}}
            return
        if names:
            self._only(names)
        self.choice = {"any": {}}

    def _only(self, names: tuple[str, ...]) -> None:
        """Leave out all tools but these."""
        if len(names) < len(self.tools):
            why = "Bedrock cannot choose among several named tools; only those are sent"
            self.losses.lose("tools", why, kind="changed")
            self.tools = [tool for tool in self.tools if tool.name in names]
        if others := [name for name in self.further if name not in names]:
            why = (
                f"Bedrock cannot choose among several named tools, and extra has others, which may be called: {others}"
            )
            self.losses.lose("tool_choice", why, guarantee=True)

    def _thinks(self) -> bool:
        return self.family.maker == "anthropic" and self.fields.get("thinking", {}).get("type") not in (
            None,
            "disabled",
        )

    def tool_config(self) -> None:
        """Fill in the tools."""
        if not self.tools and not self.further:
            return
        config: JSON = {"tools": [self._tool(tool) for tool in self.tools]} if self.tools else {}
        if self.choice is not None:
            config["toolChoice"] = self.choice
        if config:
            self.body[_TOOLS] = config
        for sent, name in self.names.changed.items():
            self.losses.note("tools", f"the tool {name!r} is called {sent!r} on Bedrock, and by its own name here")

    def _tool(self, tool: Tool) -> JSON:
        spec: JSON = {"name": self.names.wire(tool.name)}
        if tool.description.strip():
            spec["description"] = tool.description
        parameters: JSON = tool.parameters
        if "type" not in parameters:
            # An object is what every tool is called with; what does not say so is refused.
            parameters = {"type": "object", **parameters}
        if self.family.inline:
            parameters, whole = inlined(parameters)
            if not whole:
                self.losses.lose("tools", f"this model does not see what {tool.name!r} refers to", kind="changed")
        if tool.strict:
            parameters, spec["strict"] = self._strict(tool, parameters)
        spec["inputSchema"] = {"json": parameters}
        return {"toolSpec": {name: value for name, value in spec.items() if value is not False}}

    def _strict(self, tool: Tool, parameters: JSON) -> tuple[JSON, bool]:
        why = "this model has no strict tools"
        if self.family.strict:
            try:
                plain, moved = closed(parameters)
            except Unfit as error:
                why = f"{tool.name!r} cannot be strict: {error}"
            else:
                if not moved:
                    return plain, True
                why = f"{tool.name!r} cannot be strict: it has {', '.join(moved)}"
        self.losses.lose("strict", why)
        return parameters, False

    # ------------------------------------------------------------ the form of the answer

    def schema(self, schema: Schema) -> None:
        """Hold the answer to a schema: by the service's own grammar, or as the arguments of a tool."""
        why = f"{self.request.model!r} can be held to no schema on Bedrock"
        if self.family.schema == "native":
            try:
                plain, moved = closed(inlined(schema.json_schema)[0] if self.family.inline else schema.json_schema)
            except Unfit as error:
                why = f"the schema {schema.name!r} does not fit Bedrock's own grammar: {error}"
            else:
                if moved:
                    told = f"Bedrock's grammar has no {', '.join(moved)}; the description says it"
                    self.losses.lose("output_schema", told, kind="changed")
                self._native(schema, plain)
                return
        if not (self.family.schema and self.family.tools and "any" in self.family.choices):
            self.losses.lose("output_schema", why, guarantee=True)
        elif self._thinks():
            why = "it takes a forced tool here, and a model of Claude's that reasons cannot be made to call one"
            self.losses.lose("output_schema", why, guarantee=True)
        else:
            self._by_tool(schema)

    def _native(self, schema: Schema, plain: JSON) -> None:
        form: JSON = {"name": schema.name, "schema": dump_json(plain)}
        if schema.description:
            form["description"] = schema.description
        self.body["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": form}}}

    def _by_tool(self, schema: Schema) -> None:
        if any(name == ANSWER_TOOL for name in self._every_name()):
            raise InvalidRequest(f"the tool name {ANSWER_TOOL!r} is taken by genkit: give that tool another name")
        if self.choice is not None and self.choice.keys() & {"any", "tool"}:
            # The answer will be a call, as the caller wants it; a schema has nothing to hold.
            return
        parameters = inlined(schema.json_schema)[0]
        self.wrapped = parameters.get("type") != "object"
        if self.wrapped:
            defs: JSON = {name: parameters.pop(name) for name in ("$defs", "definitions") if name in parameters}
            parameters = {"type": "object", "properties": {"value": parameters}, "required": ["value"], **defs}
        about = schema.description or f"Give the answer ({schema.name})."
        self.choice = (
            {"any": {}}
            if self.tools or self.further or "tool" not in self.family.choices
            else {"tool": {"name": ANSWER_TOOL}}
        )
        self.tools = [*self.tools, Tool(name=ANSWER_TOOL, description=about, parameters=parameters)]
        self.answer_tool = True

    # ------------------------------------------------------------ settings

    def sampling(self) -> None:
        """Fill in what governs the choice of tokens, and what ends an answer."""
        thinking = self._thinks()
        for name in ("temperature", "top_p"):
            if name not in self.given:
                continue
            if not thinking:
                self._sample(name, getattr(self.settings, name))
            elif getattr(self.settings, name) != 1:
                self.losses.lose(name, f"{self.request.model!r} takes it only while it does not reason")
        if "max_tokens" in self.given:
            self.inference["maxTokens"] = self.settings.max_tokens
        if "stop" in self.given:
            self.stop()
        for name in sorted(self.given & set(self.family.fields)):
            if name == "top_k" and thinking:
                self.losses.lose(name, f"{self.request.model!r} takes it only while it does not reason")
            else:
                self._own_field(name)
        if self.fields.get("reasoningConfig", {}).get("maxReasoningEffort") == "high":
            for name, wire in _INFERENCE.items():
                if self.inference.pop(wire, None) is not None:
                    self.losses.lose(name, "Nova takes none at its highest effort")

    def _sample(self, name: str, value: float) -> None:
        if name == "top_p" and self.family.sampling == "one" and "temperature" in self.inference:
            self.losses.lose(name, f"{self.request.model!r} takes temperature or top_p, not both")
            return
        if name == "temperature" and value > 1:
            self.losses.lose(name, f"Bedrock takes 0 to 1; 1 is sent for {value:g}", kind="changed")
            value = 1.0
        self.inference[_INFERENCE[name]] = value

    def _own_field(self, name: str) -> None:
        """Fill in a setting that has no place in Converse, but one among the fields of the model's own."""
        *groups, last = self.family.fields[name].split(".")
        place = self.fields
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = getattr(self.settings, name)

    def stop(self) -> None:
        """Fill in the stop texts, all of them or none without the caller's leave."""
        stop, most = list(self.settings.stop), self.family.stops
        if most is not None and len(stop) > most:
            why = f"{self.request.model!r} takes at most {most} stop texts, and {len(stop)} are given"
            self.losses.lose("stop", why, kind="changed", guarantee=True)
            stop = stop[:most]
        if blank := [text for text in stop if not text.strip()]:
            self.losses.lose("stop", f"stop texts of whitespace are refused: {blank}", guarantee=True)
            stop = [text for text in stop if text.strip()]
        if stop:
            self.inference["stopSequences"] = stop

    def reasoning(self) -> None:
        """Ask for reasoning in the form that the model's maker gave it."""
        wanted = self.settings.reasoning
        assert wanted is not None
        if wanted.summary not in (None, "auto"):
            self.losses.lose("reasoning", "how reasoning is summed up cannot be chosen", kind="changed")
        effort, budget = wanted.effort, wanted.budget
        if effort is None and budget is None:
            return
        match self.family.thinks:
            case "budget":
                self._budget(effort, budget)
            case "adaptive":
                if effort == "none" or (effort is None and budget == 0):
                    self.fields["thinking"] = {"type": "disabled"}
                    return
                self.fields["thinking"] = {"type": "adaptive"}
                self.fields["output_config"] = {"effort": self._word(effort, budget)}
            case "nova":
                if effort == "none" or (effort is None and budget == 0):
                    self.fields["reasoningConfig"] = {"type": "disabled"}
                    return
                self.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": self._word(effort, budget)}
            case _:
                self.fields["reasoning_effort"] = self._word(effort, budget)

    def _word(self, effort: str | None, budget: int | None) -> str:
        """Return the effort word the model knows that is nearest to what is wanted."""
        if effort is None:
            assert budget is not None
            word = min(self.family.efforts, key=lambda word: abs(CLAUDE_BUDGETS[word] - budget))
            why = f"this model takes no budget in tokens, only an effort word; {word!r} is sent"
        else:
            at = _WORDS.index(effort) if effort in _WORDS else 0
            word = min(self.family.efforts, key=lambda word: (abs(_WORDS.index(word) - at), _WORDS.index(word)))
            why = f"this model has no effort {effort!r}; {word!r} is sent"
        if word != effort:
            self.losses.lose("reasoning", why, kind="changed")
        return word

    def _budget(self, effort: str | None, budget: int | None) -> None:
        """Fill in a budget of tokens, which must be less than the longest answer."""
        if effort == "none" or (effort is None and budget == 0):
            self.fields["thinking"] = {"type": "disabled"}
            return
        tokens = budget if budget is not None else CLAUDE_BUDGETS[effort or "medium"]
        most = self.settings.max_tokens
        if most is not None and most <= _LEAST_BUDGET:
            why = f"it takes {_LEAST_BUDGET} tokens at least, and max_tokens={most} leaves none for an answer"
            self.losses.lose("reasoning", why)
            return
        fitting = max(tokens, _LEAST_BUDGET) if most is None else min(max(tokens, _LEAST_BUDGET), most - 1)
        if fitting != tokens and budget is not None:
            limit = f"less than max_tokens={most}" if fitting < tokens else f"at least {_LEAST_BUDGET}"
            self.losses.lose("reasoning", f"a budget is {limit} here; {fitting} is sent for {tokens}", kind="changed")
        self.fields["thinking"] = {"type": "enabled", "budget_tokens": fitting}

    # ------------------------------------------------------------ caching

    def cache_prompt(self) -> None:
        """Let cache points follow tools, instructions and the last turn."""
        wanted = self.settings.cache_prompt
        if "cache_prompt" not in self.given or not wanted:
            return
        places: list[tuple[str, list[JSON]]] = []
        if self.tools:
            places.append(("tools", self.body[_TOOLS]["tools"]))
        if "system" in self.body:
            places.append(("system", self.body["system"]))
        places.append(("messages", self.body["messages"][-1]["content"]))
        for place, blocks in places:
            if place in self.family.cache and "cachePoint" not in blocks[-1]:
                blocks.append(cache_point(wanted, self.family, self.losses, subject="cache_prompt"))

    def limit_points(self) -> None:
        """Take away the first cache points among the turns where there are more than the service takes."""
        groups = [self.body.get(_TOOLS, {}).get("tools", []), self.body.get("system", [])]
        turns = [turn["content"] for turn in self.body["messages"]]
        points = [(blocks, block) for blocks in [*turns, *groups] for block in blocks if "cachePoint" in block]
        if (surplus := len(points) - _MOST_POINTS) > 0:
            self.losses.lose("cache", f"a request has {_MOST_POINTS} cache points at most; the first are left out")
            for blocks, block in points[:surplus]:
                blocks[:] = [other for other in blocks if other is not block]

    def order_points(self) -> None:
        """Let no cache point last longer than one before it, in the order in which the service reads them."""
        turns = [block for turn in self.body["messages"] for block in turn["content"]]
        read = [*self.body.get(_TOOLS, {}).get("tools", []), *self.body.get("system", []), *turns]
        points = [block for block in read if "cachePoint" in block]
        last = max((at for at, point in enumerate(points) if point["cachePoint"].get("ttl") == _LONG), default=0)
        shorter = [point for point in points[:last] if point["cachePoint"].get("ttl") != _LONG]
        if shorter:
            why = f"no cache point may last longer than those before it; those before the one for {_LONG} last as long"
            self.losses.lose("cache", why, kind="changed")
        for point in shorter:
            # A new one: it may be the caller's own.
            point["cachePoint"] = {**point["cachePoint"], "ttl": _LONG}


def _further_tools(extra: JSON) -> list[str]:
    """Return the names of the tools that options of Bedrock's own hold."""
    config = extra.get(_TOOLS)
    tools = config.get("tools") if isinstance(config, Mapping) else None
    specs = [
        spec
        for tool in (tools if isinstance(tools, list) else ())
        for spec in (tool.values() if isinstance(tool, Mapping) else ())
    ]
    return [str(spec.get("name", "")) for spec in specs if isinstance(spec, Mapping)]


def _unsigned_loop(turns: list[JSON]) -> bool:
    """Return whether results answer calls that do not begin with signed reasoning."""
    if len(turns) < 2 or not any("toolResult" in block for block in turns[-1]["content"]):
        return False
    return "reasoningContent" not in turns[-2]["content"][0]
