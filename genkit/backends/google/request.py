"""generateContent: genkit's requests as its JSON. The way back is in `answers`."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidRequest, Unsupported
from ...events import dump_json
from ...types import Reasoning, Request, Settings, Tool, ToolCall, ToolChoice, ToolResult
from ..base import Losses
from ..checks import check_choice, check_prompt
from ..extra import merged
from ..wire import WireRequest
from .media import Shelf, files_origin
from .messages import Conversation
from .models import Family, Vendor
from .names import FunctionNames, NamedRequest
from .schema import dialect

__all__ = ["DECLARATIONS", "encode", "encode_count", "settings_of"]

JSON = dict[str, Any]

DECLARATIONS = "functionDeclarations"

_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_ALWAYS = frozenset(_CONFIG) - _PENALTIES | {"stop", "cache_prompt", "timeout"}
_MOST_STOPS = 5

# Google's own equivalents of effort words: https://ai.google.dev/gemini-api/docs/openai, read 2026-11-23. The words
# above "high" ask for as much as there is.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
_WORDS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Parts of a request that the cached content holds already, and that may not stand beside it.
_CACHED = {"systemInstruction": "system", "tools": "tools", "toolConfig": "tool_choice"}


def settings_of(family: Family, vendor: Vendor) -> frozenset[str]:
    """Return the names of the settings that a model takes."""
    found = _ALWAYS
    if family.tools:
        found |= {"tool_choice"}
    if family.thinking != "none":
        found |= {"reasoning"}
    if family.penalties:
        found |= _PENALTIES
    return found | _LOGPROBS if vendor in family.logprobs else found


def encode(
    request: Request, family: Family, vendor: Vendor, *, name: str, origin: str, files: str, stream: bool
) -> WireRequest:
    """Translate a request.

    Args:
        request: The request; `extra` is taken under the backend's name.
        family: The model's rules.
        vendor: Whose door it goes through.
        name: The backend's name.
        origin: Mark of native data that may be sent back there.
        files: Address of uploaded files.
        stream: Whether the answer is to come in pieces.

    Raises:
        InvalidRequest: For a request that no model could answer, such as an empty prompt.
        Unsupported: For what the model lacks and the caller cannot do without.
    """
    check_prompt(request)
    encoding = _Encoding(request, family, vendor, name)
    encoding.fill(origin, files)
    return NamedRequest(
        path=":streamGenerateContent?alt=sse" if stream else ":generateContent",
        body=encoding.body,
        model=request.model,
        api="generateContent",
        origin=origin,
        warnings=tuple(encoding.losses.warnings),
        timeouts=request.settings.timeout,
        names=encoding.names.changed,
    )


def encode_count(
    request: Request, family: Family, vendor: Vendor, *, name: str, origin: str, files: str, resource: str
) -> WireRequest:
    """Translate a request to count the tokens of its prompt; what governs the answer is left out.

    Args:
        request: The request to count.
        family: The model's rules.
        vendor: Whose door it goes through; they want the same in two forms.
        name: The backend's name.
        origin: Mark of native data that may be sent back there.
        files: Address of uploaded files.
        resource: The model's name in paths, such as "models/gemini-2.5-pro".
    """
    silent = request.model_copy(
        update={"settings": Settings(timeout=request.settings.timeout), "on_unsupported": "ignore"}
    )
    wire = encode(silent, family, vendor, name=name, origin=origin, files=files, stream=False)
    body = wire.body
    if vendor == "vertex":
        kept = ("contents", "systemInstruction", "tools", "generationConfig")
        body = {field: body[field] for field in kept if field in body}
    elif body.keys() != {"contents"}:
        body = {"generateContentRequest": {"model": resource, **body}}
    return WireRequest(
        path=":countTokens",
        body=body,
        model=request.model,
        api="countTokens",
        origin=origin,
        timeouts=request.settings.timeout,
    )


class _Encoding:
    """One request on its way to a body; every method fills in its share."""

    def __init__(self, request: Request, family: Family, vendor: Vendor, name: str) -> None:
        self.request = request
        self.settings = request.settings
        self.family = family
        self.vendor: Vendor = vendor
        self.name = name
        self.losses = Losses(request, backend=name)
        self.extra: JSON = _checked(request.extra.get(name, {}), name) if request.extra else {}
        self.names = FunctionNames(self._every_name())
        self.given: set[str] = set()
        if request.settings.model_fields_set:
            self.given = self._given()
        self.config: JSON = {}
        self.body: JSON = {}

    def fill(self, origin: str, files: str) -> None:
        """Fill in the whole."""
        shelf = Shelf(
            self.family,
            self.vendor,
            files=files,
            name=self.name,
            origins=frozenset({origin, files_origin(origin)}),
        )
        conversation = Conversation(shelf, self.losses, origin=origin, name=self.name, names=self.names)
        system, contents = conversation.encode(self.request.messages)
        self.body["contents"] = contents
        if system is not None:
            self.body["systemInstruction"] = system
        if self.request.tools or "tool_choice" in self.given:
            self.tools()
        if self.request.output_schema is not None:
            self.schema()
        if self.given:
            self.sampling()
            self.reasoning()
        if self.config:
            self.body["generationConfig"] = self.config
        if self.extra:
            self.body = merged(self.body, self.extra)
            self.arrange()

    def _every_name(self) -> list[str]:
        """Return the names of all functions: those that may be called, and those that were."""
        names = [tool.name for tool in self.request.tools]
        for message in self.request.messages:
            names += [part.name for part in message.parts if isinstance(part, ToolCall | ToolResult) and part.name]
        return names

    def _given(self) -> set[str]:
        """Return the settings to send, after reporting the others."""
        settings = self.settings
        # Several calls in one answer are what it does anyway.
        if settings.parallel_tool_calls is True:
            settings = settings.model_copy(update={"parallel_tool_calls": None})
        # A model that never thinks does what "none" asks for.
        wanted = settings.reasoning
        if wanted is not None and self.family.thinking == "none" and (wanted.effort == "none" or wanted.budget == 0):
            settings = settings.model_copy(update={"reasoning": None})
        return self.losses.settings(settings, settings_of(self.family, self.vendor), where=self.name)

    # ------------------------------------------------------------ settings

    def sampling(self) -> None:
        """Fill in what governs the choice of tokens, and what ends an answer."""
        for name, field in _CONFIG.items():
            if name in self.given:
                self.config[field] = getattr(self.settings, name)
        if "stop" in self.given:
            self.stop()
        if self.settings.logprobs is False and "top_logprobs" in self.given:
            self.losses.lose("top_logprobs", "logprobs=False asks for none")
        elif "top_logprobs" in self.given or (self.settings.logprobs and "logprobs" in self.given):
            self.config["responseLogprobs"] = True
            if "top_logprobs" in self.given:
                self.config["logprobs"] = self.settings.top_logprobs
        if "cache_prompt" in self.given:
            self.cache()

    def stop(self) -> None:
        """Fill in the stop texts, all of them or none without the caller's leave."""
        stop = list(self.settings.stop)
        if len(stop) > _MOST_STOPS:
            why = f"{self.name} takes at most {_MOST_STOPS} stop texts, and {len(stop)} are given"
            self.losses.lose("stop", why, kind="changed", guarantee=True)
            stop = stop[:_MOST_STOPS]
        self.config["stopSequences"] = stop

    def cache(self) -> None:
        """Report what is asked of the prompt's cache beyond its use, which goes by itself."""
        wanted = self.settings.cache_prompt
        if wanted is False:
            self.losses.lose("cache_prompt", "the vendor caches prompts by itself, and cannot be told not to")
        elif isinstance(wanted, str):
            why = (
                f"the vendor caches prompts by itself; for {wanted!r} it must be a cached content of its own, whose "
                f"name goes into extra={{{self.name!r}: {{'cachedContent': ...}}}}"
            )
            self.losses.lose("cache_prompt", why, kind="changed")

    def reasoning(self) -> None:
        """Fill in how much it may think, in the words of the model's generation, and what is shown of it."""
        wanted = self.settings.reasoning
        if wanted is None or "reasoning" not in self.given:
            return
        thinking: JSON = {}
        if wanted.summary is not None:
            thinking["includeThoughts"] = True
            if wanted.summary != "auto":
                why = f"thoughts are summed up in one way only, not {wanted.summary!r}"
                self.losses.lose("reasoning", why, kind="changed")
        thinking |= self._amount(wanted)
        if thinking.get("thinkingBudget") == 0:
            # Without thoughts there are none to show.
            thinking.pop("includeThoughts", None)
        if thinking:
            self.config["thinkingConfig"] = thinking

    def _amount(self, wanted: Reasoning) -> JSON:
        if wanted.effort is None and wanted.budget is None:
            return {}
        if (wanted.effort is None and wanted.budget == 0) or wanted.effort == "none":
            return self._off()
        if self.family.thinking == "budget":
            return {"thinkingBudget": self._budget(wanted)}
        if wanted.budget is not None and wanted.effort is not None:
            why = f"{self.request.model!r} takes a word, no budget in tokens; {wanted.effort!r} is sent"
            self.losses.lose("reasoning", why, kind="changed")
        word: str | None = wanted.effort
        if word is None:
            # The smallest word whose budget is not below the wanted one.
            word = next((name for name, tokens in _BUDGETS.items() if tokens >= (wanted.budget or 0)), "max")
        return {"thinkingLevel": self._nearest(word, wanted).upper()}

    def _nearest(self, word: str, wanted: Reasoning) -> str:
        at = _WORDS.index(word)
        found = min(self.family.levels, key=lambda level: (abs(_WORDS.index(level) - at), _WORDS.index(level)))
        if wanted.effort is None:
            why = f"{self.request.model!r} takes a word, no budget in tokens; {found!r} is sent"
            self.losses.lose("reasoning", why, kind="changed")
        elif found != word:
            why = f"{self.request.model!r} has no effort {word!r}; {found!r} is sent"
            self.losses.lose("reasoning", why, kind="changed")
        return found

    def _budget(self, wanted: Reasoning) -> int:
        least, most = self.family.budget
        asked = wanted.budget if wanted.budget is not None else _BUDGETS[wanted.effort or "medium"]
        sent = min(max(asked, least), most)
        if sent != asked and wanted.budget is not None:
            why = f"{self.request.model!r} thinks in {least} to {most} tokens; {sent} is sent for {asked}"
            self.losses.lose("reasoning", why, kind="changed")
        return sent

    def _off(self) -> JSON:
        """Switch thought off, or down where it cannot be off."""
        if self.vendor in self.family.off:
            return {"thinkingBudget": 0}
        least: int | str
        if self.family.thinking == "budget":
            least = self.family.budget[0]
            sent: JSON = {"thinkingBudget": least}
        else:
            least = self.family.levels[0]
            sent = {"thinkingLevel": least.upper()}
        why = f"{self.request.model!r} cannot do without thinking here; the least, {least!r}, is sent"
        self.losses.lose("reasoning", why, kind="changed")
        return sent

    # ------------------------------------------------------------ tools and schema

    def tools(self) -> None:
        """Fill in the functions and what is said about their use."""
        request = self.request
        further = bool(self.extra.get("tools"))
        choice = self.settings.tool_choice if "tool_choice" in self.given else None
        if choice is not None:
            check_choice(choice, request, further=further)
        if not request.tools:
            # A choice without functions to choose from is refused.
            if choice is not None and further:
                self._choose_of_extra(choice)
            return
        if not self.family.tools:
            raise Unsupported(f"{request.model!r} calls no functions", backend=self.name)
        tools = request.tools
        calling = self._calling(choice or ToolChoice())
        if choice is not None and choice.names and choice.mode == "auto":
            why = f"{self.name} restricts demanded calls to names, not allowed ones; only those tools are sent"
            self.losses.lose("tools", why, kind="changed")
            tools = tuple(tool for tool in tools if tool.name in choice.names)
        self.body["tools"] = [{DECLARATIONS: [self._function(tool) for tool in tools]}]
        if calling:
            self.body["toolConfig"] = {"functionCallingConfig": calling}

    def _choose_of_extra(self, choice: ToolChoice) -> None:
        """Fill in a choice among tools that all come by `extra`."""
        named = any(DECLARATIONS in tool for tool in self.extra["tools"])
        if named and not (choice.mode == "auto" and choice.names):
            self.body["toolConfig"] = {"functionCallingConfig": self._calling(choice)}
        elif choice.mode != "auto" or choice.names:
            why = (
                "the tools in extra hold no functions to choose from" if not named else "it is only for demanded calls"
            )
            self.losses.lose("tool_choice", f"{self.name} takes none here: {why}", guarantee=True)

    def _calling(self, choice: ToolChoice) -> JSON:
        """Return how functions may be called; names are taken with demanded calls only."""
        match choice.mode:
            case "required" | "named":
                names = {"allowedFunctionNames": list(map(self.names.wire, choice.names))} if choice.names else {}
                return {"mode": "ANY", **names}
            case "none":
                return {"mode": "NONE"}
            case "auto":
                if self._strict():
                    return {"mode": "VALIDATED"}
                return {"mode": "AUTO"} if "tool_choice" in self.given else {}

    def _strict(self) -> bool:
        """Return whether calls are to be held to their schemas, which holds for all functions or none."""
        wanted = [tool.name for tool in self.request.tools if tool.strict]
        if wanted and not self.family.validated:
            why = f"{self.request.model!r} does not hold the arguments of {', '.join(wanted)} to their schema"
            self.losses.lose("strict", why)
        elif wanted and any(tool.strict is False for tool in self.request.tools):
            self.losses.lose("strict", f"{self.name} holds all functions to their schemas or none", kind="changed")
        return bool(wanted) and self.family.validated

    def _function(self, tool: Tool) -> JSON:
        function: JSON = {"name": self.names.wire(tool.name)}
        if function["name"] != tool.name:
            why = f"the function {tool.name!r} is called {function['name']!r} there, and by its own name here"
            self.losses.note("tools", why)
        if tool.description:
            function["description"] = tool.description
        parameters = tool.parameters
        if parameters.get("properties") or parameters.keys() - {"type", "properties", "title", "additionalProperties"}:
            what = f"the arguments of {tool.name!r}"
            function["parametersJsonSchema"] = dialect(parameters, self.losses, subject="tools", what=what)
        return function

    def schema(self) -> None:
        """Fill in the form of the answer; beside tools, older models are only told it."""
        schema = self.request.output_schema
        if schema is None:
            return
        if not self.family.schemas:
            why = f"{self.request.model!r} cannot hold an answer to a JSON schema"
            self.losses.lose("output_schema", why, guarantee=True)
            return
        form = dialect(schema.json_schema, self.losses, subject="output_schema", what=f"{schema.name!r}")
        if schema.description and "description" not in form:
            form = {**form, "description": schema.description}
        if not self.family.schema_with_tools and (self.request.tools or self.extra.get("tools")):
            why = f"{self.request.model!r} cannot hold an answer to a schema while it has tools; it is told the schema"
            self.losses.lose("output_schema", why, kind="changed", guarantee=schema.strict)
            self._tell(form)
            return
        self.config["responseMimeType"] = "application/json"
        self.config["responseJsonSchema"] = form

    def _tell(self, form: JSON) -> None:
        text = f"Where you answer, answer with JSON alone, in the form of this JSON schema: {dump_json(form)}"
        instructions = self.body.setdefault("systemInstruction", {"parts": []})
        instructions["parts"] = [*instructions["parts"], {"text": text}]

    # ------------------------------------------------------------ what extra brought

    def arrange(self) -> None:
        """Bring what `extra` added into the form that the vendor takes."""
        calling = (self.body.get("toolConfig") or {}).get("functionCallingConfig") or {}
        if calling.get("streamFunctionCallArguments"):
            raise Unsupported(
                "genkit does not put arguments together that come in pieces; leave streamFunctionCallArguments out",
                backend=self.name,
            )
        if self.body.get("cachedContent"):
            for field, subject in _CACHED.items():
                if self.body.pop(field, None) is not None:
                    why = f"it may not stand beside a cached content; put {field} into the cached content itself"
                    self.losses.lose(subject, why, guarantee=subject == "tool_choice" and "tool_choice" in self.given)
        tools = self.body.get("tools")
        if isinstance(tools, list):
            self._tools_of_all_kinds(tools)

    def _tools_of_all_kinds(self, tools: list[Any]) -> None:
        kinds = [kind for tool in tools for kind in tool]
        if self.vendor == "vertex":
            # One object for each kind of tool is what it takes, and all functions in one.
            functions = [one for tool in tools for one in tool.get(DECLARATIONS) or ()]
            others = [{kind: value} for tool in tools for kind, value in tool.items() if kind != DECLARATIONS]
            self.body["tools"] = [*([{DECLARATIONS: functions}] if functions else []), *others]
        elif self.family.mixes_tools and DECLARATIONS in kinds and len(set(kinds)) > 1:
            config = self.body.get("toolConfig") or {}
            self.body["toolConfig"] = {"includeServerSideToolInvocations": True, **config}


def _checked(extra: JSON, name: str) -> JSON:
    """Return vendor-only options with tools as a list; one alone is one more, not one in place of all.

    Raises:
        InvalidRequest: If an object is something else.
    """
    for field in ("toolConfig", "generationConfig"):
        if not isinstance(extra.get(field) or {}, dict):
            raise InvalidRequest(
                f"extra[{name!r}][{field!r}] must be an object, not {extra[field]!r:.60}", backend=name
            )
    calling = (extra.get("toolConfig") or {}).get("functionCallingConfig")
    if not isinstance(calling or {}, dict):
        raise InvalidRequest(f"functionCallingConfig in extra must be an object, not {calling!r:.60}", backend=name)
    tools = extra.get("tools")
    if isinstance(tools, dict):
        return {**extra, "tools": [tools]}
    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise InvalidRequest(f"extra[{name!r}]['tools'] must be a list of objects, not {tools!r:.60}", backend=name)
    return extra
