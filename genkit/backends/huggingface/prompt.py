"""From genkit's messages to the model's tokens, by the checkpoint's own chat template."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2.exceptions import TemplateError
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from ...errors import ConfigError, InvalidRequest
from ...types import Audio, Document, Image, Message, Opaque, Request, Text, Thinking, ToolCall, ToolResult, Video
from ..base import Losses

__all__ = ["Rendered", "encode", "lose_unreadable", "render", "text_tokens"]

# What a template raises by itself, and what Jinja's expressions raise on messages they were not written for.
_TEMPLATE_ERRORS = (
    *(TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, MemoryError),
)
# What the chat template's variables may not be called: parameters of transformers' function, which mean other things.
_TAKEN = frozenset(inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters) - {
    "add_generation_prompt",
    "continue_final_message",
    "documents",
    "sanitize_control_tokens",
    "kwargs",
}
_ROLELESS = "the checkpoint has no chat template, so the texts are joined, without roles, and continued"


def text_tokens(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    """Return the tokens of a text, with those that the tokenizer itself puts around it, or without.

    Raises:
        InvalidRequest: If the text holds half of a surrogate pair, which is no character.
    """
    _check_characters(text)
    # verbose=False: the tokenizer's warning about long texts would come before our error.
    return [int(token) for token in tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]]


def _check_characters(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"the text holds {text[error.start]!r} at position {error.start}, half of a surrogate pair, which no "
            "tokenizer can read; replace it"
        ) from error


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt that is ready to become text or tokens.

    Attributes:
        messages: What the chat template is given.
        options: And what else it is given; None without a template, where the messages' texts are joined.
    """

    tokenizer: Any
    messages: list[dict[str, Any]]
    options: dict[str, Any] | None

    @property
    def size(self) -> int:
        """Characters of all messages."""
        return sum(len(turn["content"]) for turn in self.messages)

    def text(self) -> str:
        """Return the prompt as the tokenizer gets it."""
        if self.options is None:
            return "\n\n".join(turn["content"] for turn in self.messages if turn["content"])
        with _refused():
            return str(self.tokenizer.apply_chat_template(self.messages, tokenize=False, **self.options))

    def tokens(self) -> list[int]:
        """Return the prompt as the model gets it.

        Raises:
            InvalidRequest: If the template refuses the messages, or nothing is left of them.
        """
        if self.options is None:
            tokens = text_tokens(self.tokenizer, self.text(), special=True)
        else:
            with _refused():
                tokens = _tokens(self.tokenizer, self.messages, self.options)
        if not tokens:
            raise InvalidRequest("the prompt is empty: it has no token to go on from")
        return tokens


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except _TEMPLATE_ERRORS as error:
        raise InvalidRequest(f"the checkpoint's chat template refuses these messages: {error}") from error


def encode(tokenizer: Any, request: Request, losses: Losses, *, options: dict[str, Any]) -> list[int]:
    """Return the tokens of a request's prompt, as `render` makes it."""
    return render(tokenizer, request, losses, options=options).tokens()


def render(tokenizer: Any, request: Request, losses: Losses, *, options: dict[str, Any]) -> Rendered:
    """Return a request's prompt; `options` go to the chat template.

    Raises:
        ConfigError: If the checkpoint's chat template is none, or the options cannot be its variables.
        Unsupported: By the caller's `on_unsupported`, for what the template has no place for.
    """
    _check_variables(options)
    template = _template(tokenizer, tools=bool(request.tools))
    lose_unreadable(request, losses)
    if template is None:
        return _joined(tokenizer, request, losses)
    return _templated(tokenizer, template, request, losses, options)


def lose_unreadable(request: Request, losses: Losses) -> None:
    """Report what no checkpoint is given here, whatever its chat template."""
    if request.output_schema is not None:
        losses.lose("output_schema", "this backend does not constrain the answer", guarantee=True)
    for message in request.messages:
        if message.name is not None:
            losses.lose("name", "chat templates are given roles and texts, and no names of those who speak")
        results = [part.parts for part in message.parts if isinstance(part, ToolResult)]
        for part in (*message.parts, *(part for parts in results for part in parts)):
            if isinstance(part, (Image, Audio, Video, Document, Opaque)):
                losses.lose(part.kind, "this backend reads text only", guarantee=True)
            _report(part, losses)


def _check_variables(options: object) -> None:
    if not isinstance(options, dict):
        raise ConfigError(
            f"the option 'template' is a dict of variables for the chat template, not {type(options).__name__}"
        )
    for name in options:
        if not isinstance(name, str) or name in _TAKEN:
            raise ConfigError(f"the chat template cannot have a variable {name!r}; its name is taken")


def _template(tokenizer: Any, *, tools: bool) -> str | None:
    """Return the checkpoint's template; of several the one that transformers takes."""
    found = tokenizer.chat_template
    if isinstance(found, dict):
        wanted = ["tool_use", "default"] if tools else ["default"]
        names = [name for name in wanted if name in found] or (list(found) if len(found) == 1 else [])
        if found and not names:
            raise ConfigError(
                f"the checkpoint has several chat templates ({', '.join(map(str, found))}) and none called 'default': "
                "call one so"
            )
        found = found[names[0]] if names else None
    if found is not None and not isinstance(found, str):
        raise ConfigError(
            f"the checkpoint's chat template is no text, but {type(found).__name__}: mend 'chat_template' in its "
            "tokenizer_config.json"
        )
    return found or None


def _joined(tokenizer: Any, request: Request, losses: Losses) -> Rendered:
    if request.tools:
        losses.lose("tools", "the checkpoint has no chat template to show them in", guarantee=True)
    losses.lose("messages", _ROLELESS, kind="changed")
    messages = [{"role": message.role, "content": _content(message.parts)} for message in request.messages]
    return Rendered(tokenizer, messages, None)


def _templated(tokenizer: Any, template: str, request: Request, losses: Losses, given: dict[str, Any]) -> Rendered:
    takes_tools = "tools" in template
    messages = [turn for message in request.messages for turn in _turns(message, losses, template, takes_tools)]
    options: dict[str, Any] = {"chat_template": template, "add_generation_prompt": True, **given}
    if options.get("continue_final_message"):
        options["add_generation_prompt"] = False
    if request.tools:
        if takes_tools:
            options["tools"] = [_tool(tool) for tool in request.tools]
            losses.lose("tools", "the model is shown the tools, and what it calls comes back as text", kind="changed")
        else:
            losses.lose("tools", "the checkpoint's chat template has no place for them", guarantee=True)
    if why := _refusal_of_system(tokenizer, messages, options):
        losses.lose("system", f"{why}, so they stand at the beginning of the user's", kind="changed")
        messages = _folded(messages)
    return Rendered(tokenizer, messages, options)


def _refusal_of_system(tokenizer: Any, messages: list[dict[str, Any]], options: dict[str, Any]) -> str | None:
    """Return why the system messages have to stand elsewhere, or None."""
    systems = [turn["content"] for turn in messages if turn["role"] == "system"]
    if not systems:
        return None
    try:
        shown = str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except _TEMPLATE_ERRORS as error:
        return f"the checkpoint's chat template refuses system messages ({error})"
    if all(text.strip() in shown for text in systems):
        return None
    return "the checkpoint's chat template leaves system messages out"


def _tokens(tokenizer: Any, messages: list[dict[str, Any]], options: dict[str, Any]) -> list[int]:
    # Without this, a user's text that spells "<|im_end|>" ends the user's turn.
    if "sanitize_control_tokens" in inspect.signature(tokenizer.apply_chat_template).parameters:
        options = {"sanitize_control_tokens": True, **options}
    encoded = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    return [int(token) for token in encoded["input_ids"]]


def _folded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the text of the system messages at the beginning of the first user message."""
    system = "\n\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    rest = [turn for turn in messages if turn["role"] != "system"]
    for i, turn in enumerate(rest):
        if turn["role"] == "user":
            folded = {**turn, "content": f"{system}\n\n{turn['content']}"}
            return [*rest[:i], folded, *rest[i + 1 :]]
    return [{"role": "user", "content": system}, *rest]


def _turns(message: Message, losses: Losses, template: str, takes_tools: bool) -> Iterable[dict[str, Any]]:
    """Return what a template calls messages: one, or one for each tool result."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    for result in results:
        content = _content(result.parts)
        if takes_tools:
            yield {"role": "tool", "content": content, "name": result.name, "tool_call_id": result.id}
        else:
            losses.lose("tool_result", "the chat template has no place for it, so it is a user's text", kind="changed")
            yield {"role": "user", "content": content}
    parts = [part for part in message.parts if not isinstance(part, ToolResult)]
    if results and not parts:
        return
    turn: dict[str, Any] = {"role": message.role, "content": _content(parts)}
    thinking = "".join(part.text for part in parts if isinstance(part, Thinking))
    if thinking:
        if "reasoning_content" in template:
            turn["reasoning_content"] = thinking
        else:
            losses.lose("thinking", "the chat template has no place for it")
    if calls := message.tool_calls:
        if takes_tools:
            turn["tool_calls"] = [_call(call) for call in calls]
        else:
            losses.lose("tool_call", "the checkpoint's chat template has no place for it")
    yield turn


def _content(parts: Sequence[Any]) -> str:
    text = "".join(part.text for part in parts if isinstance(part, Text))
    _check_characters(text)
    return text


def _report(part: Any, losses: Losses) -> None:
    """Report what stands on a part beside what a template shows of it."""
    if part.cache:
        losses.lose("cache", "a model on this machine keeps no prompts")
    if isinstance(part, Text):
        if part.refusal:
            losses.lose("refusal", "a chat template does not tell a refusal from other text", kind="changed")
        if part.citations:
            losses.lose("citations", "a chat template has no place for them")
    if part.native and not isinstance(part, Opaque) and (isinstance(part, (Text, ToolCall)) or not part.text):
        subject = "thinking" if isinstance(part, Thinking) else "signature"
        losses.lose(subject, f"what {part.origin or 'its origin'} sealed or signed can be read there only")


def _tool(tool: Any) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments: Any = call.raw if call.arguments is None else call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
