"""What is asked of every backend: settings, parts, roles and tools, each with the marks that must reach the wire."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genkit.testing.contract.asking import MEDIA, PERSON, SAMPLES, WEATHER
from genkit.types import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Request,
    Schema,
    Settings,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)

__all__ = ["GROUPS", "Case"]

ASKED = Message.user("first-question")
ANSWERED = Message.assistant("first-answer")
AGAIN = Message.user("second-question")
PICTURE = MEDIA["image"]


@dataclass(frozen=True)
class Case:
    """One thing that may be asked.

    Attributes:
        name: What the page calls it.
        messages: The conversation.
        marks: Texts that must stand in the body, in this order.
        anywhere: Texts that must stand in it, wherever.
        excused: Those of them that may be missing where something is reported: what the case is about.
        settings: Settings to give; the body must differ from the one without them.
        instead: What the control has in place of fields of the request.
        implicit: The setting that may be honoured without a word on the wire, by the transport or by the vendor's
            own habit, where the backend says it honours it.
    """

    name: str
    messages: tuple[Message, ...] = (ASKED,)
    marks: tuple[str, ...] = ()
    anywhere: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Tool, ...] = ()
    output_schema: Schema | None = None
    implicit: str | None = None
    excused: tuple[str, ...] = ()
    instead: Mapping[str, Any] = field(default_factory=dict)

    def request(self, model: str, *, control: bool = False) -> Request:
        """Return the request, or the one that it is compared with: the same without what is asked."""
        whole = Request(
            model=model,
            messages=self.messages,
            settings=Settings(**({} if control else self.settings)),
            tools=self.tools,
            output_schema=None if control else self.output_schema,
        )
        return whole.model_copy(update=self.instead) if control else whole

    @property
    def compared(self) -> bool:
        """Whether the body must differ from that of the control."""
        return bool(self.settings or self.output_schema or self.instead)


def _packed(data: bytes | None) -> str:
    return base64.b64encode(data or b"").decode()


def _said(name: str, *messages: Message, marks: Sequence[str] = (), **more: Any) -> Case:
    """Return a case whose marks are all its texts, where no others are named."""
    texts = [part.text for message in messages for part in message.parts if isinstance(part, Text) and part.text]
    return Case(name, messages, tuple(marks or texts), **more)


def _of_user(name: str, part: Part, mark: str) -> Case:
    return Case(name, (Message.user("first-question", part),), anywhere=("first-question", mark), excused=(mark,))


def _calls(*ids: str) -> Message:
    calls = [ToolCall(id=call, name="weather", arguments={"city": f"city-{n}"}) for n, call in enumerate(ids)]
    return Message(role="assistant", parts=tuple(calls))


def _result(call: str, *parts: Part, failed: bool = False) -> ToolResult:
    return ToolResult(id=call, name="weather", parts=parts, failed=failed)


def _history(name: str, *results: ToolResult, calls: Sequence[str] = ("call_1",), **more: Any) -> Case:
    messages = (ASKED, _calls(*calls), *([Message.tool(*results)] if results else []))
    return Case(name, messages, **{"tools": (WEATHER,), **more})


_SETTINGS = [
    Case(
        name,
        settings=sample,
        tools=(WEATHER,) if name in ("tool_choice", "parallel_tool_calls") else (),
        implicit=name if name in ("timeout", "cache_prompt") else None,
    )
    for name, sample in sorted(SAMPLES.items())
    if name != "tool_choice"
]

_SPOKEN = _said
_IMAGE_URL, _PDF_URL = "https://example.com/cat.png", "https://example.com/paper.pdf"

GROUPS: dict[str, list[Case]] = {
    "Settings": [
        *_SETTINGS,
        Case("stop, five texts", settings={"stop": ("a1", "b2", "c3", "d4", "e5")}),
        Case('cache_prompt="1h"', settings={"cache_prompt": "1h"}, implicit="cache_prompt"),
        Case(
            "a mark to cache up to a part",
            (Message.user(Text(text="first-question", cache=True), "more-of-it"),),
            ("first-question", "more-of-it"),
            instead={"messages": (Message.user("first-question", "more-of-it"),)},
            implicit="cache_prompt",
        ),
    ],
    "What the user sends": [
        _said("text", ASKED),
        _of_user("image, bytes", PICTURE, _packed(PICTURE.data)),
        _of_user("image, URL", Image(url=_IMAGE_URL), _IMAGE_URL),
        _of_user("audio, bytes", MEDIA["audio"], _packed(MEDIA["audio"].data)),
        _of_user("audio, URL", Audio(url="https://example.com/a.wav"), "https://example.com/a.wav"),
        _of_user("video, bytes", MEDIA["video"], _packed(MEDIA["video"].data)),
        _of_user("video, URL", Video(url="https://example.com/v.mp4"), "https://example.com/v.mp4"),
        _of_user("PDF, bytes", MEDIA["document"], _packed(MEDIA["document"].data)),
        _of_user("PDF, URL", Document(url=_PDF_URL), _PDF_URL),
        Case(
            "the detail of an image",
            (Message.user("first-question", PICTURE.model_copy(update={"detail": "high"})),),
            instead={"messages": (Message.user("first-question", PICTURE),)},
            anywhere=("first-question",),
        ),
        _of_user(
            "the name of a document", MEDIA["document"].model_copy(update={"name": "paper-name.pdf"}), "paper-name"
        ),
        _of_user("a file by the vendor's id", Document(file_id="file-123", mime="application/pdf"), "file-123"),
    ],
    "Roles and order": [
        Case("system at the beginning", (Message.system("be-terse"), ASKED), anywhere=("be-terse", "first-question")),
        _said("system in mid-conversation", ASKED, ANSWERED, Message.system("be-terse", "and-polite"), AGAIN),
        Case("only a system message", (Message.system("be-terse"),), anywhere=("be-terse",)),
        _said("two users in a row", ASKED, AGAIN),
        _said("two answers in a row", ASKED, ANSWERED, Message.assistant("more-of-it"), AGAIN),
        _said("the model speaks first", ANSWERED, AGAIN),
        _said("the model speaks last", ASKED, ANSWERED),
        Case(
            "an empty turn",
            (ASKED, Message.assistant(""), AGAIN),
            ("first-question", "second-question"),
            instead={"messages": (ASKED, AGAIN)},
        ),
        Case(
            "a speaker's name",
            (Message(role="user", name="Ada", parts=(Text(text="first-question"),)),),
            anywhere=("Ada", "first-question"),
            excused=("Ada",),
        ),
        Case(
            "a name on the instructions",
            (Message(role="system", name="Ops-team", parts=(Text(text="be-terse"),)), ASKED),
            anywhere=("Ops-team", "be-terse", "first-question"),
            excused=("Ops-team",),
        ),
    ],
    "What the model said": [
        _said(
            "a refusal",
            ASKED,
            Message.assistant(Text(text="I-cannot", refusal=True)),
            AGAIN,
            instead={"messages": (ASKED, Message.assistant("I-cannot"), AGAIN)},
        ),
        _said(
            "citations",
            ASKED,
            Message.assistant(Text(text="first-answer", citations=({"url": "cited-page"},))),
            AGAIN,
            anywhere=("cited-page",),
            excused=("cited-page",),
        ),
        _said(
            "a text that another vendor signed",
            ASKED,
            Message.assistant(Text(text="first-answer", origin="elsewhere", native={"signature": "sig-nature"})),
            AGAIN,
            anywhere=("sig-nature",),
            excused=("sig-nature",),
        ),
        _said(
            "sealed reasoning of another vendor",
            ASKED,
            Message.assistant(Thinking(redacted=True, origin="elsewhere", native={"data": "sea-led"}), "first-answer"),
            AGAIN,
            anywhere=("sea-led",),
            excused=("sea-led",),
        ),
        _said(
            "reasoning of another vendor",
            ASKED,
            Message.assistant(Thinking(text="hm-hm", origin="elsewhere", native={"signature": "c2ln"}), "first-answer"),
            AGAIN,
            anywhere=("hm-hm",),
            excused=("hm-hm",),
        ),
        _said(
            "an item only another vendor knows",
            ASKED,
            Message.assistant(Opaque(type="web_search", origin="elsewhere", native={"q": "found-it"}), "first-answer"),
            AGAIN,
            anywhere=("found-it",),
            excused=("found-it",),
        ),
        Case(
            "an image",
            (ASKED, Message.assistant(PICTURE), AGAIN),
            ("first-question", "second-question"),
            anywhere=(_packed(PICTURE.data),),
            excused=(_packed(PICTURE.data),),
        ),
        Case(
            "a sound, with what it says",
            (ASKED, Message.assistant(MEDIA["audio"].model_copy(update={"transcript": "spoken-words"})), AGAIN),
            ("first-question", "second-question"),
            anywhere=("spoken-words",),
            excused=("spoken-words",),
        ),
    ],
    "Tools": [
        Case("a tool", tools=(WEATHER,), anywhere=("weather", "Tell the weather in a city.", "city")),
        Case(
            "a strict tool",
            tools=(WEATHER.model_copy(update={"strict": True}),),
            instead={"tools": (WEATHER,)},
            anywhere=("weather",),
        ),
        Case('tool_choice "none"', settings={"tool_choice": "none"}, tools=(WEATHER,)),
        Case('tool_choice "required"', settings={"tool_choice": "required"}, tools=(WEATHER,)),
        Case(
            "tool_choice, one named",
            settings={"tool_choice": ToolChoice(mode="named", names=("weather",))},
            tools=(WEATHER, WEATHER.model_copy(update={"name": "other"})),
        ),
        Case(
            "tool_choice, two of three named",
            settings={"tool_choice": ToolChoice(mode="named", names=("weather", "other"))},
            tools=(WEATHER, *(WEATHER.model_copy(update={"name": name}) for name in ("other", "third"))),
        ),
        Case("an output schema", output_schema=PERSON, anywhere=("age",)),
        Case("an output schema beside tools", output_schema=PERSON, tools=(WEATHER,), anywhere=("age", "weather")),
        _history("a call and its result", _result("call_1", Text(text="sunny-there")), marks=("city-0", "sunny-there")),
        _history(
            "two calls, results in another order",
            _result("call_2", Text(text="rain-there")),
            _result("call_1", Text(text="sunny-there")),
            calls=("call_1", "call_2"),
            marks=("city-0", "city-1"),
            anywhere=("sunny-there", "rain-there"),
        ),
        _history("a history of tools, none in the request", _result("call_1", Text(text="sunny-there")), tools=(),
                 marks=("city-0", "sunny-there")),
        _history(
            "a failed result",
            _result("call_1", Text(text="boom-bang"), failed=True),
            marks=("boom-bang",),
            instead={"messages": (ASKED, _calls("call_1"), Message.tool(_result("call_1", Text(text="boom-bang"))))},
        ),
        _history(
            "a result of two texts and a picture",
            _result("call_1", Text(text="one-text"), PICTURE, Text(text="two-texts")),
            marks=("one-text",),
            anywhere=("two-texts", _packed(PICTURE.data)),
            excused=(_packed(PICTURE.data),),
        ),
        Case(
            "a call that another vendor signed",
            (
                ASKED,
                Message.assistant(
                    ToolCall(
                        id="call_1",
                        name="weather",
                        arguments={"city": "city-0"},
                        origin="elsewhere",
                        native={"signature": "sig-nature"},
                    )
                ),
                Message.tool(_result("call_1", Text(text="sunny-there"))),
            ),
            ("city-0", "sunny-there"),
            ("sig-nature",),
            tools=(WEATHER,),
            excused=("sig-nature",),
        ),
        _history("an empty result", _result("call_1"), marks=("city-0",)),
        _history("a result that is a JSON array", _result("call_1", Text(text="[1, 22, 333]")), marks=("333",)),
        _history(
            "a result with an image",
            _result("call_1", PICTURE),
            anywhere=(_packed(PICTURE.data),),
            excused=(_packed(PICTURE.data),),
        ),
        _history("a call without a result", marks=("city-0",)),
        Case(
            "a result without a call",
            (ASKED, ANSWERED, Message.tool(_result("gone", Text(text="sunny-there"))), AGAIN),
            ("first-question", "sunny-there", "second-question"),
            tools=(WEATHER,),
        ),
        Case(
            "two calls of one id",
            (
                ASKED,
                _calls("call_1"),
                Message.tool(_result("call_1", Text(text="sunny-there"))),
                AGAIN,
                _calls("call_1"),
                Message.tool(_result("call_1", Text(text="rain-there"))),
            ),
            ("city-0", "sunny-there", "second-question", "city-0", "rain-there"),
            tools=(WEATHER,),
        ),
    ],
}  # fmt: skip
