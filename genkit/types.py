"""The vocabulary: every value that crosses a border inside genkit.

`Request` goes into a backend, `Response` or `Event`s come out; nothing vendor-shaped travels between. Values are
frozen, refuse unknown fields and survive a round trip through JSON, whatever bytes or text they hold. What only a
vendor understands rides along as `native` data, marked with its `origin`, and is sent back to that origin alone.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError, to_jsonable_python
from typing_extensions import TypeVar

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .sources import AudioDict, DocumentDict, ImageDict, Source, VideoDict

__all__ = [
    "Audio",
    "BlockEnd",
    "BlockStart",
    "CallWarning",
    "Candidate",
    "Document",
    "Done",
    "EmbedRequest",
    "Embeddings",
    "Event",
    "Features",
    "FetchPolicy",
    "Finish",
    "Health",
    "Image",
    "Media",
    "Message",
    "OnUnsupported",
    "Opaque",
    "Part",
    "Plan",
    "Reasoning",
    "Request",
    "Response",
    "Role",
    "Schema",
    "Score",
    "ScoreRequest",
    "Settings",
    "Text",
    "TextDelta",
    "Thinking",
    "ThinkingDelta",
    "Timeouts",
    "Timing",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolResult",
    "Usage",
    "Video",
]

T = TypeVar("T", default=str)
JSON: TypeAlias = dict[str, Any]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Finish: TypeAlias = Literal["stop", "length", "tool_calls", "refused", "error", "other"]
OnUnsupported: TypeAlias = Literal["warn", "error", "ignore"]


def _from_base64(value: object) -> object:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


# Bytes as base64 in JSON; pydantic's own setting for it does not act on a dict that json.loads made.
Blob: TypeAlias = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str, when_used="json"),
]


def _plain(value: object) -> object:
    """Return what JSON has no form for: bytes as base64, sets in order."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, frozenset):
        return sorted(value)
    return to_jsonable_python(value)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Value(BaseModel):
    """Base of the values: immutable, closed, and equal after a round trip through JSON."""

    # Validators are built on first use: building them all would be half of the import's time.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def model_dump_json(self, **options: Any) -> str:
        """Return JSON; takes pydantic's options. Lone surrogates, which UTF-8 cannot hold, make it escape them.

        pydantic's own serializer refuses lone surrogates in fields and replaces them, without a word, in the keys of
        free-form JSON such as `native`.
        """
        indent, escape = options.pop("indent", None), options.pop("ensure_ascii", False)
        separators = (",", ":") if indent is None else None
        data = self.model_dump(**options)
        text = json.dumps(data, indent=indent, separators=separators, default=_plain, ensure_ascii=escape)
        if text.isascii() or _encodable(text):
            return text
        return json.dumps(data, indent=indent, separators=separators, default=_plain)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return a dict; takes pydantic's options. With mode="json", lone surrogates stay what they are."""
        data = super().model_dump(**options)
        if options.get("mode") != "json":
            return data
        plain: dict[str, Any] = {**options, "mode": "python"}
        try:
            text = json.dumps(super().model_dump(**plain), default=_plain)
        except TypeError:  # keys that only pydantic has a form for
            return data
        # pydantic replaces them, without a word, in the keys of free-form JSON.
        return json.loads(text) if "\\ud" in text else data

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Read what `model_dump_json` wrote."""
        text = json_data if isinstance(json_data, str) else json_data.decode("utf-8")
        # pydantic's JSON parser refuses escaped lone surrogates; the standard library's takes them.
        return (
            cls.model_validate(json.loads(text), **options)
            if "\\ud" in text.lower()
            else super().model_validate_json(text, **options)
        )


# ---------------------------------------------------------------- parts and messages


class _Part(Value):
    """What all parts share.

    Attributes:
        origin: Who issued the vendor-specific data in `native`, such as "openai/responses"; only there is it sent back.
        native: That data, as the vendor sent it (signatures, encrypted reasoning, ids); JSON.
        cache: Ask the vendor to cache the prompt up to the end of this part: True, or for "5m" or "1h".
    """

    origin: str | None = None
    native: JSON | None = None
    cache: bool | Literal["5m", "1h"] = False


class Text(_Part):
    """Plain text.

    Attributes:
        refusal: The model declined; the text says why.
        citations: The vendor's annotations of this text, as sent.
    """

    kind: Literal["text"] = "text"
    text: str
    refusal: bool = False
    citations: tuple[JSON, ...] = ()


class Thinking(_Part):
    """The model's reasoning, as far as the vendor shows it; `native` holds what must be sent back unread."""

    kind: Literal["thinking"] = "thinking"
    text: str = ""
    redacted: bool = False


class Media(_Part):
    """Base of image, audio, video and document: by value, by URL, or by a vendor's file id (exactly one of them).

    Without a keyword the source may be a path (the file is read at once), bytes, an http(s), gs or s3 URL, or a data
    URI. What is stored is `data` or `url` all the same.

    Attributes:
        mime: Media type such as "image/png"; needed with `data`.
        name: File name, where the vendor wants one.
    """

    data: Blob | None = Field(default=None, repr=False)
    url: str | None = None
    file_id: str | None = None
    mime: str | None = None
    name: str | None = None

    def __init__(self, source: Source | None = None, /, **fields: Any) -> None:
        # pydantic calls this too, with keywords, for every dict that it validates.
        if source is not None:
            fields = import_module(f"{__package__}.sources").fields_of(type(self).__name__, source, fields)
        super().__init__(**fields)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ARG002  # pydantic's signature
        """Check that there is exactly one source."""
        given = [name for name in ("data", "url", "file_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"{type(self).__name__} needs exactly one of data, url, file_id; got {given or 'none'}")


class Image(Media):
    """A picture, sent or received."""

    kind: Literal["image"] = "image"
    detail: Literal["auto", "low", "high", "original"] | None = None

    if TYPE_CHECKING:

        def __init__(self, source: Source | None = None, /, **fields: Unpack[ImageDict]) -> None: ...


class Audio(Media):
    """A sound; `transcript` is its text where the vendor gives one."""

    kind: Literal["audio"] = "audio"
    transcript: str | None = None

    if TYPE_CHECKING:

        def __init__(self, source: Source | None = None, /, **fields: Unpack[AudioDict]) -> None: ...


class Video(Media):
    """A film."""

    kind: Literal["video"] = "video"

    if TYPE_CHECKING:

        def __init__(self, source: Source | None = None, /, **fields: Unpack[VideoDict]) -> None: ...


class Document(Media):
    """A PDF or another file to read."""

    kind: Literal["document"] = "document"

    if TYPE_CHECKING:

        def __init__(self, source: Source | None = None, /, **fields: Unpack[DocumentDict]) -> None: ...


class ToolCall(_Part):
    """The model asks for a tool.

    Attributes:
        id: The vendor's id of the call, or one made here when it gave none (`minted`).
        arguments: The parsed JSON object; None when the model wrote something else.
        raw: What the model wrote, kept where it is not the JSON of `arguments`.
    """

    kind: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: JSON | None
    raw: str | None = None
    minted: bool = False


class ToolResult(_Part):
    """What a tool answered to the call `id`; `failed` marks an error that the model should read."""

    kind: Literal["tool_result"] = "tool_result"
    id: str
    name: str = ""
    parts: tuple[Annotated[Text | Image | Audio | Video | Document, Field(discriminator="kind")], ...] = ()
    failed: bool = False


class Opaque(_Part):
    """A vendor's item that has no word here (a web search it ran, say): kept in place, and replayed to its origin."""

    kind: Literal["opaque"] = "opaque"
    type: str


Part: TypeAlias = Annotated[
    Text | Thinking | Image | Audio | Video | Document | ToolCall | ToolResult | Opaque, Field(discriminator="kind")
]


class Message(Value):
    """One turn of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @classmethod
    def system(cls, *content: str | Part) -> Self:
        """Make a system message of texts and parts."""
        return cls(role="system", parts=_parts(content))

    @classmethod
    def user(cls, *content: str | Part) -> Self:
        """Make a user message of texts and parts."""
        return cls(role="user", parts=_parts(content))

    @classmethod
    def assistant(cls, *content: str | Part) -> Self:
        """Make an assistant message of texts and parts."""
        return cls(role="assistant", parts=_parts(content))

    @classmethod
    def tool(cls, *results: ToolResult) -> Self:
        """Make the message that answers tool calls."""
        return cls(role="tool", parts=results)


def _parts(content: Sequence[str | Part]) -> tuple[Part, ...]:
    return tuple(Text(text=item) if isinstance(item, str) else item for item in content)


# ---------------------------------------------------------------- settings


def _number(value: object) -> object:
    """Refuse what pydantic would take for a number: True is a slip, and a text may be meant for another setting."""
    if isinstance(value, bool | str | bytes):
        raise PydanticCustomError("number", "must be a number, not {kind}", {"kind": type(value).__name__})
    return value


# None stands inside: beside a union, its branches would report a wrong value twice.
_Number: TypeAlias = Annotated[float | None, BeforeValidator(_number)]
_Count: TypeAlias = Annotated[int | None, BeforeValidator(_number)]


class Reasoning(Value):
    """How much a reasoning model may think, by word (`effort`) or by tokens (`budget`), and what it shows of it."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    budget: _Count = Field(default=None, ge=0)
    summary: Literal["auto", "concise", "detailed"] | None = None


class Timeouts(Value):
    """Time limits in seconds; None is no limit.

    Attributes:
        connect: Until the connection stands (TCP, proxy, TLS).
        first: From sending until the first event of a stream, or until the whole answer of a plain call.
        idle: Between two events of a stream. Bytes that are no events (comments that keep a line open) do not count.
        total: The whole call, retries and waiting included.
    """

    connect: _Number = Field(default=10.0, gt=0)
    first: _Number = Field(default=600.0, gt=0)
    idle: _Number = Field(default=120.0, gt=0)
    total: _Number = Field(default=None, gt=0)


class FetchPolicy(Value):
    """What genkit itself may fetch, for a vendor that cannot take a URL.

    Attributes:
        allow_hosts: Only these hosts, such as "example.com" or "*.example.com"; with a port where it is not 80 or 443.
            None allows every public host.
        allow_private: Also loopback and private addresses, on any port. Addresses of cloud metadata never.
        redirects: How many redirects are followed, each checked anew.
        max_bytes: Largest file.
        timeout: Seconds for one file, redirects included.
        through_proxy: Also where a proxy leads to the host. It looks the name up by itself, so that only its own rules
            keep it away from private addresses.
    """

    allow_hosts: Annotated[
        tuple[str, ...] | None, BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
    ] = None
    allow_private: bool = False
    redirects: int = Field(default=0, ge=0, le=3)
    max_bytes: int = Field(default=50_000_000, ge=1)
    timeout: float = Field(default=20.0, gt=0)
    through_proxy: bool = False


class ToolChoice(Value):
    """Whether the model must call a tool; with "named", which ones it may choose from."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    names: tuple[str, ...] = ()


def _reasoning(value: object) -> object:
    return Reasoning.model_validate({"effort": value}) if isinstance(value, str) else value


def _timeouts(value: object) -> object:
    if value is None:
        return Timeouts(connect=None, first=None, idle=None, total=None)
    return Timeouts(total=value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _tool_choice(value: object) -> object:
    return ToolChoice.model_validate({"mode": value}) if isinstance(value, str) else value


def _stop(value: object) -> object:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise PydanticCustomError("stop", "must be a text or a list of texts")
    return value


class Settings(Value):
    """What can be asked of a model, whoever runs it. None (or empty) leaves the vendor's default.

    Attributes:
        temperature: Randomness; 0 is greedy.
        top_p: Nucleus sampling, share of probability kept.
        top_k: Sample from the k likeliest tokens.
        max_tokens: Longest answer, reasoning included where the vendor counts it so.
        stop: Texts that end the answer; they are not part of it. Guaranteed or refused.
        seed: Repeatable sampling, as far as the vendor can.
        n: Number of answers; the further ones are `Response.alternatives`.
        logprobs: Report the log-probability (nats) of each token.
        top_logprobs: And of that many alternatives per token.
        presence_penalty: Make tokens that occurred less likely, once.
        frequency_penalty: Make them less likely by each occurrence.
        reasoning: Effort word ("low"), or a `Reasoning`.
        tool_choice: "auto", "none", "required", or a `ToolChoice`. Guaranteed or refused.
        parallel_tool_calls: Whether one answer may hold several tool calls.
        cache_prompt: Ask the vendor to cache the prompt: True, or for "5m" or "1h".
        timeout: Seconds for the whole call (the other limits then have their defaults), or `Timeouts`; None waits for
            ever. Guaranteed or refused.
    """

    temperature: _Number = Field(default=None, ge=0)
    top_p: _Number = Field(default=None, gt=0, le=1)
    top_k: _Count = Field(default=None, ge=1)
    max_tokens: _Count = Field(default=None, ge=1)
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_stop)] = ()
    seed: _Count = None
    n: _Count = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: _Count = Field(default=None, ge=0)
    presence_penalty: _Number = None
    frequency_penalty: _Number = None
    reasoning: Annotated[Reasoning | None, BeforeValidator(_reasoning)] = None
    tool_choice: Annotated[ToolChoice | None, BeforeValidator(_tool_choice)] = None
    parallel_tool_calls: bool | None = None
    cache_prompt: bool | Literal["5m", "1h"] | None = None
    timeout: Annotated[Timeouts, BeforeValidator(_timeouts)] = Field(default_factory=Timeouts)

    # Dropping one of these would break a promise the caller relies on: an error unless on_unsupported="ignore".
    GUARANTEES: ClassVar[frozenset[str]] = frozenset({"stop", "tool_choice", "timeout"})

    def given(self) -> set[str]:
        """Return the names of the settings that ask for something."""
        return {name for name in self.model_fields_set if getattr(self, name) not in (None, ())}


# ---------------------------------------------------------------- request


class Tool(Value):
    """A function the model may ask for; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: JSON = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None


class Schema(Value):
    """The form an answer must have, as a JSON schema."""

    name: str = "answer"
    json_schema: JSON
    description: str | None = None
    strict: bool = True


class Request(Value):
    """One whole model call. Nothing else reaches a backend.

    Attributes:
        model: The backend's own model name, without the backend's prefix.
        extra: Vendor-only options, keyed by backend name; each backend takes its own and leaves the others.
        on_unsupported: What happens to a setting the backend lacks: report it, raise, or drop it without a word.
        require: Names of settings that must not be dropped: `Unsupported` is raised instead.
    """

    model: str
    messages: tuple[Message, ...]
    settings: Settings = Field(default_factory=Settings)
    tools: tuple[Tool, ...] = ()
    output_schema: Schema | None = None
    extra: dict[str, JSON] = Field(default_factory=dict)
    on_unsupported: OnUnsupported = "warn"
    require: frozenset[str] = frozenset()


class EmbedRequest(Value):
    """Texts to turn into vectors.

    Attributes:
        dimensions: Length of the vectors, where the model can shorten them.
        input_type: What the texts are for; models that embed questions and documents differently want to know.
    """

    model: str
    texts: tuple[str, ...]
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["query", "document"] | None = None
    settings: Settings = Field(default_factory=Settings)
    extra: dict[str, JSON] = Field(default_factory=dict)
    on_unsupported: OnUnsupported = "warn"
    require: frozenset[str] = frozenset()


class ScoreRequest(Value):
    """Texts whose likelihood is asked for."""

    model: str
    texts: tuple[str, ...]
    settings: Settings = Field(default_factory=Settings)
    extra: dict[str, JSON] = Field(default_factory=dict)
    on_unsupported: OnUnsupported = "warn"
    require: frozenset[str] = frozenset()


# ---------------------------------------------------------------- response


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more calls, in classes that never overlap.

    None is unknown, and makes every sum with it unknown. Vendors count differently (OpenAI and Gemini include cached
    tokens in the input, Bedrock does not; Gemini leaves reasoning out of the output); each backend converts.

    Attributes:
        input: Prompt tokens that were neither read from nor written to a cache, and are not audio or image.
        output: Answer tokens that are not reasoning, audio or image.
        cache_read: Prompt tokens read from the vendor's cache.
        cache_write: Prompt tokens written to it.
        reasoning: Tokens of thinking.
        estimated: The counts are an estimate made here, because the stream was left or cut before the vendor counted.
        raw: The vendor's own counts, as sent; not compared, not added.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = 0
    cache_write: int | None = 0
    reasoning: int | None = 0
    input_audio: int | None = 0
    output_audio: int | None = 0
    input_image: int | None = 0
    output_image: int | None = 0
    estimated: bool = False
    raw: JSON | None = field(default=None, compare=False, repr=False)

    @property
    def total(self) -> int | None:
        """All classes together."""
        return _sum(getattr(self, name) for name in _TOKEN_CLASSES)

    @property
    def total_input(self) -> int | None:
        """All tokens of the prompt, cached or not."""
        return _sum((self.input, self.cache_read, self.cache_write, self.input_audio, self.input_image))

    @property
    def total_output(self) -> int | None:
        """All tokens of the answer, reasoning included."""
        return _sum((self.output, self.reasoning, self.output_audio, self.output_image))

    def __add__(self, other: Usage) -> Usage:
        """Add class by class."""
        sums: dict[str, Any] = {name: _sum((getattr(self, name), getattr(other, name))) for name in _TOKEN_CLASSES}
        return Usage(**sums, estimated=self.estimated or other.estimated)


_TOKEN_CLASSES = tuple(f.name for f in fields(Usage) if f.name not in ("estimated", "raw"))


def _sum(counts: Any) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


@dataclass(frozen=True, slots=True)
class Timing:
    """Of the attempt that answered: when it started (Unix time), its seconds to the first event and to the end."""

    started: float = field(default_factory=time.time)
    first: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token with its natural log-probability, and the likeliest alternatives in its place."""

    token: str
    logprob: Annotated[float, Field(allow_inf_nan=True)]
    top: tuple[TokenLogprob, ...] = ()


class CallWarning(Value):
    """Something that was asked for and not done as asked.

    Attributes:
        kind: "dropped" (not sent), "changed" (sent otherwise), "fallback" (another model answered), "note"; and
            "error", which only `LLM.check` says, of what a call would raise.
        subject: The setting, part or role it is about; of an error that is about none of them, its class.
    """

    kind: Literal["dropped", "changed", "fallback", "note", "error"]
    subject: str
    message: str

    def __str__(self) -> str:
        return self.message


class Candidate(Value):
    """One of several answers to the same request."""

    message: Message
    finish: Finish
    finish_raw: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None


class Response(Value, Generic[T]):
    """What a model answered.

    Attributes:
        finish: Why it ended, in one of six words; `finish_raw` is the vendor's word.
        model: The model that answered, as the vendor names it.
        backend: The backend that answered, and which of its interfaces (`api`).
        id: The vendor's id of the answer; `request_id` that of the HTTP request.
        warnings: Everything that was dropped or changed on the way.
        alternatives: The further answers when n > 1.
        logprobs: Per token of the answer, when asked for.
        complete: False when the answer was cut short here (left, interrupted).
        output: The typed answer, when one was asked for.
        native: The vendor's remaining fields, as sent.
    """

    message: Message
    finish: Finish
    finish_raw: str | None = None
    usage: Usage = Usage()
    model: str = ""
    backend: str = ""
    api: str | None = None
    id: str | None = None
    request_id: str | None = None
    warnings: tuple[CallWarning, ...] = ()
    timing: Timing | None = None
    alternatives: tuple[Candidate, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    complete: bool = True
    output: T | None = None
    native: JSON | None = Field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The text of the answer."""
        return self.message.text

    @property
    def thinking(self) -> str:
        """The model's reasoning as far as it is shown."""
        return "".join([part.text for part in self.message.parts if isinstance(part, Thinking)])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools the model asks for, in order."""
        return self.message.tool_calls

    def __str__(self) -> str:
        return self.text


# ---------------------------------------------------------------- events: one per piece of a stream, so they are cheap

# The deltas are not frozen, which would triple the cost of making them; nothing may change them all the same.


@dataclass(frozen=True, slots=True)
class BlockStart:
    """A part begins; `index` counts the parts of one answer, `candidate` the answers."""

    index: int
    block: Literal["text", "thinking", "tool_call", "image", "audio", "opaque"]
    id: str | None = None
    name: str | None = None
    candidate: int = 0
    kind: Literal["block_start"] = "block_start"


@dataclass(slots=True, unsafe_hash=True)
class TextDelta:
    """More text of part `index`."""

    index: int
    text: str
    candidate: int = 0
    kind: Literal["text_delta"] = "text_delta"


@dataclass(slots=True, unsafe_hash=True)
class ThinkingDelta:
    """More reasoning of part `index`."""

    index: int
    text: str
    candidate: int = 0
    kind: Literal["thinking_delta"] = "thinking_delta"


@dataclass(slots=True, unsafe_hash=True)
class ToolCallDelta:
    """More of the JSON text of the arguments of tool call `index`."""

    index: int
    arguments: str
    candidate: int = 0
    kind: Literal["tool_call_delta"] = "tool_call_delta"


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """Part `index` is whole."""

    index: int
    part: Part
    candidate: int = 0
    kind: Literal["block_end"] = "block_end"


@dataclass(frozen=True, slots=True)
class Done:
    """Last event of every stream: the same response that `generate` would give."""

    response: Response
    kind: Literal["done"] = "done"


Event: TypeAlias = Annotated[
    BlockStart | TextDelta | ThinkingDelta | ToolCallDelta | BlockEnd | Done, Field(discriminator="kind")
]


# ---------------------------------------------------------------- beside generation


class Embeddings(Value):
    """One vector per text, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = Usage()
    model: str = ""
    backend: str = ""
    request_id: str | None = None
    warnings: tuple[CallWarning, ...] = ()


class Score(Value):
    """How likely a model finds a text.

    Attributes:
        tokens: The tokens, the first included.
        logprobs: Natural log-probability of each token given those before it; None for a first token with nothing
            before it.
        bos: Whether a begin-of-sequence token was put before the text, so that the first token has a probability too.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]
    bos: bool = False

    @property
    def total(self) -> float:
        """Log-probability of the whole text, over the tokens that have one; nats."""
        return sum(value for value in self.logprobs if value is not None)


class Features(Value):
    """What a backend can do with a model. Ask here instead of testing names.

    Attributes:
        settings: Names of the `Settings` it honours.
        media: Kinds of media it reads: "image", "audio", "video", "document".
    """

    settings: frozenset[str] = frozenset()
    tools: bool = False
    output_schema: bool = False
    thinking: bool = False
    media: frozenset[str] = frozenset()
    embeddings: bool = False
    scores: bool = False
    count_tokens: bool = False


class Plan(Value):
    """The exact HTTP request a call would send, with placeholders where credentials would stand; nothing was sent.

    Attributes:
        method: The HTTP method; "local" where the model runs in this process and nothing goes over a wire. `url` is
            then the model's name, and `body` what the model is given.
    """

    backend: str
    api: str | None = None
    method: str = "POST"
    url: str
    headers: Mapping[str, str]
    body: JSON
    warnings: tuple[CallWarning, ...] = ()


class Health(Value):
    """Whether calls to a backend can work, as far as that can be told without asking a model.

    Attributes:
        state: "ready" (it answered, and took the credential where that can be asked), "configured" (not asked),
            "unconfigured", "refused" (it answered, and did not take the credential), "failing" (it answered with an
            error of its own, or not as this API does), "unreachable", "not installed".
        message: What that means here, and what to do about it.
        address: Where it is, without secrets.
    """

    backend: str
    state: Literal["ready", "configured", "unconfigured", "refused", "failing", "unreachable", "not installed"]
    message: str
    address: str | None = None
