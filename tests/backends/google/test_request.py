"""Requests as they go onto the wire."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from genkit.backends.google import Google
from genkit.backends.history import FRAME
from genkit.errors import ConfigError, InvalidRequest, Unsupported
from genkit.types import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Schema,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)
from tests.backends.google.cases import (
    GEMINI,
    LOOKUP,
    NEW,
    OLD,
    ORIGIN,
    VERTEX,
    body,
    config,
    lost,
    parts_of,
    request,
    said,
    wire_of,
)

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0 and so on"


# ---------------------------------------------------------------- the frame


def test_a_question_is_one_content() -> None:
    assert body("Hi") == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        (False, "/models/gemini-2.5-flash:generateContent"),
        (True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
    ],
)
def test_the_path_says_whether_the_answer_comes_in_pieces(stream: bool, path: str) -> None:
    assert wire_of(request(), stream=stream).path == path


@pytest.mark.parametrize("messages", [(), (Message.user(""),), (Message.user(),)])
def test_an_empty_prompt_is_refused(messages: tuple[Message, ...]) -> None:
    asked = request().model_copy(update={"messages": messages})
    with pytest.raises(InvalidRequest, match="empty") as caught:
        wire_of(asked)
    assert caught.value.backend == "google"


def test_a_conversation_alternates_between_user_and_model() -> None:
    sent = said(Message.system("S"), "A", Message.assistant("B"), Message.user("C"), Message.user("D"))
    assert [(one["role"], [part["text"] for part in one["parts"]]) for one in sent] == [
        ("user", ["A"]),
        ("model", ["B"]),
        ("user", ["C", "D"]),
    ]


def test_speakers_names_are_reported() -> None:
    assert lost(request(Message(role="user", parts=(Text(text="Hi"),), name="ada"))) == [("dropped", "name")]


def test_instructions_with_a_picture_are_the_users() -> None:
    asked = request(Message.system("Look", Image(data=PNG)), "Hi")
    assert "systemInstruction" not in wire_of(asked).body
    assert lost(asked) == [("changed", "system")]


def test_a_model_without_instructions_gets_them_as_marked_text() -> None:
    sent = said(Message.system("Be terse"), "Hi", model="gemma-3-27b-it")
    assert [part["text"] for part in sent[0]["parts"]] == [FRAME, "Be terse", "Hi"]


# ---------------------------------------------------------------- settings


def test_settings_have_their_places() -> None:
    given = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 7, "seed": 1, "n": 2, "stop": ("x",)}
    assert config(**given, presence_penalty=0.1, frequency_penalty=0.2) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 5,
        "maxOutputTokens": 7,
        "seed": 1,
        "candidateCount": 2,
        "stopSequences": ["x"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
    }


def test_log_probabilities_are_vertexs_alone() -> None:
    assert config(backend=VERTEX, top_logprobs=3) == {"responseLogprobs": True, "logprobs": 3}
    assert config(backend=VERTEX, logprobs=True) == {"responseLogprobs": True}
    assert lost(request(logprobs=True)) == [("dropped", "logprobs")]


def test_no_log_probabilities_are_sent_where_none_are_wanted() -> None:
    asked = request(logprobs=False, top_logprobs=2)
    assert "generationConfig" not in wire_of(asked, VERTEX).body
    assert lost(asked, VERTEX) == [("dropped", "top_logprobs")]


def test_more_stop_texts_than_it_takes_are_refused() -> None:
    asked = request(stop=tuple("abcdef"))
    with pytest.raises(Unsupported, match="at most 5"):
        wire_of(asked)
    ignored = asked.model_copy(update={"on_unsupported": "ignore"})
    assert wire_of(ignored).body["generationConfig"]["stopSequences"] == list("abcde")


@pytest.mark.parametrize(
    ("wish", "told"), [(True, []), (False, [("dropped", "cache_prompt")]), ("1h", [("changed", "cache_prompt")])]
)
def test_prompts_are_cached_without_being_asked(wish: Any, told: list[Any]) -> None:
    assert lost(request(cache_prompt=wish)) == told


def test_marks_for_the_cache_are_reported_once() -> None:
    marked = [Message.user(Text(text="a", cache=True), Text(text="b", cache="5m"))]
    assert lost(request(*marked)) == [("dropped", "cache")]


@pytest.mark.parametrize("backend", [GEMINI, VERTEX])
def test_the_report_of_a_mark_or_a_time_for_the_cache_says_what_can_be_had_instead(backend: Google) -> None:
    marked = request(Message.user(Text(text="a", cache=True)), cache_prompt="1h")
    told = [warning.message for warning in wire_of(marked, backend).warnings]
    way_out = f"extra={{'{backend.name}': {{'cachedContent': ...}}}}"
    assert [way_out in message for message in told] == [True, True]


def test_a_summary_has_one_form() -> None:
    asked = request(model=NEW, reasoning=Reasoning(effort="low", summary="detailed"))
    assert wire_of(asked).body["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingLevel": "LOW",
    }
    assert lost(asked) == [("changed", "reasoning")]


# ---------------------------------------------------------------- tools


def test_a_tool_is_a_declaration() -> None:
    tool = Tool(name="f", description="Does f", parameters={"type": "object", "properties": {"a": {"title": "A"}}})
    assert body(tools=(tool,))["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "Does f",
                    "parametersJsonSchema": {"type": "object", "properties": {"a": {}}},
                }
            ]
        }
    ]


@pytest.mark.parametrize(("choice", "mode"), [("auto", "AUTO"), ("required", "ANY"), ("none", "NONE")])
def test_the_choice_of_tools_is_a_mode(choice: Any, mode: str) -> None:
    assert body(tools=(LOOKUP,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_without_a_choice_nothing_is_said_about_tools() -> None:
    assert "toolConfig" not in body(tools=(LOOKUP,))


@pytest.mark.parametrize("choice", ["required", ToolChoice(mode="named", names=("nobody",))])
def test_a_choice_that_cannot_be_met_is_refused(choice: Any) -> None:
    with pytest.raises(InvalidRequest):
        body(tools=() if choice == "required" else (LOOKUP,), tool_choice=choice)


def test_strict_tools_are_validated() -> None:
    strict = LOOKUP.model_copy(update={"strict": True})
    assert body(tools=(strict,))["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert lost(request(tools=(strict,))) == []
    assert lost(request(tools=(strict, Tool(name="g", strict=False)))) == [("changed", "strict")]
    assert lost(request(tools=(strict,), model="gemini-2.0-flash")) == [("dropped", "strict")]


def test_a_model_without_functions_refuses_tools() -> None:
    with pytest.raises(Unsupported, match="calls no functions"):
        body(tools=(LOOKUP,), model="gemini-2.5-flash-image")


def test_a_model_without_schemas_refuses_one() -> None:
    with pytest.raises(Unsupported, match="output_schema"):
        body(output_schema=Schema(json_schema={"type": "object"}), model="gemini-2.5-flash-image")


# ---------------------------------------------------------------- histories


def test_arguments_that_are_no_object_are_sent_as_text() -> None:
    broken = ToolCall(id="1", name="f", arguments=None, raw="{oops")
    asked = request("Go", Message.assistant(broken), Message.tool(ToolResult(id="1")))
    assert wire_of(asked).body["contents"][1]["parts"][0]["functionCall"]["args"] == {"arguments": "{oops"}
    assert lost(asked) == [("changed", "tool_call")]


def test_a_failed_result_is_an_error() -> None:
    result = ToolResult(id="1", parts=(Text(text="no such city"), Text(text="try another")), failed=True)
    sent = said("Go", Message.assistant(ToolCall(id="1", name="f", arguments={})), Message.tool(result))
    assert sent[2]["parts"][0]["functionResponse"]["response"] == {"error": "no such city\ntry another"}


def test_reasoning_of_others_is_left_out_and_reported_once() -> None:
    theirs = [Thinking(text="hm", origin="openai/responses"), Thinking(text="ha", origin="openai/responses")]
    asked = request("Hi", Message.assistant(*theirs, "Yes"), "Why?")
    assert wire_of(asked).body["contents"][1]["parts"] == [{"text": "Yes"}]
    (warning,) = wire_of(asked).warnings
    assert warning.message.endswith("(2 parts)")


def test_items_of_others_are_left_out_and_reported() -> None:
    asked = request("Hi", Message.assistant(Opaque(type="web_search", origin="openai/responses"), "Yes"), "Why?")
    assert lost(asked) == [("dropped", "web_search")]


def test_items_of_its_own_go_back_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}, "thoughtSignature": "c2ln"}
    own = Opaque(type="executableCode", origin=ORIGIN, native=code)
    assert said("Hi", Message.assistant(own), "Go on")[1]["parts"] == [code]


def test_a_picture_of_the_models_stays_the_models() -> None:
    sent = said("Draw", Message.assistant(Image(data=PNG)), "Bluer")
    assert sent[1]["role"] == "model"
    assert "inlineData" in sent[1]["parts"][0]


def test_ids_of_other_vendors_are_sent_where_the_model_has_ids() -> None:
    foreign = ToolCall(id="call_abc", name="f", arguments={}, origin="openai/chat")
    turns = ["Go", Message.assistant(foreign), Message.tool(ToolResult(id="call_abc"))]
    assert "id" not in said(*turns, model=OLD)[1]["parts"][0]["functionCall"]
    assert said(*turns, model=NEW)[1]["parts"][0]["functionCall"]["id"] == "call_abc"


# ---------------------------------------------------------------- media


def test_media_by_value_are_base64() -> None:
    assert parts_of(Image(data=b"\xff\xd8\xff")) == [{"inlineData": {"mimeType": "image/jpeg", "data": "/9j/"}}]


def test_a_data_url_is_media_by_value() -> None:
    assert parts_of(Image(url="data:image/png;base64,iVBORw==")) == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    ]


@pytest.mark.parametrize("url", ["data:image/png;base64,???", "data:image/png"])
def test_a_broken_data_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="data URL"):
        parts_of(Image(url=url))


def test_a_public_address_is_taken_where_the_place_fetches_it() -> None:
    page, sound = Document(url="https://example.com/a.pdf"), Audio(url="https://example.com/a.mp3")
    assert parts_of(page) == [{"fileData": {"fileUri": page.url, "mimeType": "application/pdf"}}]
    assert parts_of(sound, backend=VERTEX)[0]["fileData"]["mimeType"] == "audio/mpeg"
    with pytest.raises(Unsupported, match="send its bytes"):
        parts_of(sound)
    with pytest.raises(Unsupported, match="send its bytes"):
        parts_of(page, model="gemini-2.0-flash")


@pytest.mark.parametrize(
    ("part", "backend", "taken"),
    [
        (Image(url="https://example.com/a.png"), GEMINI, True),
        (Audio(url="https://example.com/a.mp3"), GEMINI, False),
        (Audio(url="https://example.com/a.mp3"), VERTEX, True),
        (Image(url="http://example.com/a.png"), VERTEX, False),
        (Image(url="data:image/png;base64,"), GEMINI, True),
        (Video(url="gs://bucket/a.mp4"), VERTEX, True),
        (Video(url="https://youtu.be/x"), GEMINI, True),
        (Video(url="https://generativelanguage.googleapis.com/v1beta/files/x"), VERTEX, False),
    ],
)
def test_it_says_which_addresses_it_takes(part: Any, backend: Google, taken: bool) -> None:
    assert backend.takes_url(part, OLD) is taken


def test_a_type_that_the_model_does_not_read_is_refused_with_those_it_reads() -> None:
    with pytest.raises(Unsupported, match=r"image/gif.*image/png"):
        parts_of(Image(data=b"GIF89a"))


def test_a_kind_that_the_model_does_not_read_is_refused() -> None:
    with pytest.raises(Unsupported, match="audio for this model"):
        parts_of(Audio(data=b"ID3"), model="gemma-3-27b-it")


def test_text_files_are_documents() -> None:
    assert parts_of(Document(data=b"a,b", mime="text/csv"))[0]["inlineData"]["mimeType"] == "text/csv"
    assert parts_of(Document(data=b"a,b", name="a.csv"))[0]["inlineData"]["mimeType"] == "text/csv"


def test_detail_is_a_resolution_where_the_model_has_one_for_each_part() -> None:
    picture = Image(data=PNG, detail="high")
    assert parts_of(picture, model=NEW)[0]["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"}
    assert lost(request(Message.user(picture), model=OLD)) == [("dropped", "detail")]
    assert lost(request(Message.user(Image(data=PNG, detail="auto")), model=OLD)) == []


def test_what_only_google_knows_of_a_film_stands_beside_it() -> None:
    film = Video(url="https://youtu.be/x", origin=ORIGIN, native={"videoMetadata": {"fps": 1}})
    assert parts_of(film)[0]["videoMetadata"] == {"fps": 1}
    assert "videoMetadata" not in parts_of(film, backend=VERTEX)[0]


# ---------------------------------------------------------------- extra


def test_extra_is_merged_last_at_every_depth() -> None:
    more = {
        "safetySettings": [{"category": "c"}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 5}, "topK": 3},
    }
    sent = body(temperature=0.5, reasoning=Reasoning(effort="low", summary="auto"), extra={"google": more})
    assert sent["safetySettings"] == [{"category": "c"}]
    assert sent["generationConfig"] == {
        "temperature": 0.5,
        "topK": 3,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 5},
    }


def test_a_schema_in_extra_replaces_the_whole_one() -> None:
    other = {"generationConfig": {"responseJsonSchema": {"type": "string"}}}
    form = Schema(json_schema={"type": "object", "properties": {}})
    sent = body(output_schema=form, extra={"google": other})["generationConfig"]
    assert sent["responseJsonSchema"] == {"type": "string"}


def test_each_door_takes_its_own_extra() -> None:
    both = {"google": {"cachedContent": "a"}, "vertex": {"labels": {"team": "x"}}}
    assert body(extra=both)["cachedContent"] == "a"
    assert body(extra=both, backend=VERTEX)["labels"] == {"team": "x"}
    assert "labels" not in body(extra=both)


def test_arguments_in_pieces_are_refused() -> None:
    calling = {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}
    with pytest.raises(Unsupported, match="streamFunctionCallArguments"):
        body(tools=(LOOKUP,), backend=VERTEX, extra={"vertex": calling})


def test_a_models_name_cannot_lead_out_of_its_place() -> None:
    with pytest.raises(ConfigError, match="no model's name"):
        wire_of(request(model="../../files/x"))


# ---------------------------------------------------------------- counting


def test_a_count_is_asked_for_in_the_form_of_each_door(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request(Message.system("S"), "Hi", tools=(LOOKUP,), temperature=0.5, stop=tuple("abcdef"))
    google = GEMINI._encoded(asked, count=True)
    assert google.path == "/models/gemini-2.5-flash:countTokens"
    inner = google.body["generateContentRequest"]
    assert inner["model"] == "models/gemini-2.5-flash"
    assert inner.keys() == {"model", "contents", "systemInstruction", "tools"}
    vertex = VERTEX._encoded(asked, count=True)
    assert vertex.body.keys() == {"contents", "systemInstruction", "tools"}


def test_a_count_of_contents_alone_is_asked_for_plainly() -> None:
    assert GEMINI._encoded(request(temperature=1.0), count=True).body == body()


def test_of_word_and_budget_the_model_gets_what_it_takes() -> None:
    both = Reasoning(effort="low", budget=2000)
    assert config(model=OLD, reasoning=both) == {"thinkingConfig": {"thinkingBudget": 2000}}
    assert config(model=NEW, reasoning=both) == {"thinkingConfig": {"thinkingLevel": "LOW"}}
    assert lost(request(model=NEW, reasoning=both)) == [("changed", "reasoning")]


def test_a_named_choice_needs_names() -> None:
    with pytest.raises(InvalidRequest, match="needs names"):
        body(tools=(LOOKUP,), tool_choice=ToolChoice(mode="named"))


def test_a_family_may_say_which_types_it_reads() -> None:
    backend = Google(api_key="k", families=[{"pattern": "gif", "mimes": ["image/gif"]}])
    assert parts_of(Image(data=b"GIF89a"), backend=backend, model="gif-1")
    with pytest.raises(Unsupported, match="image/png"):
        parts_of(Image(data=PNG), backend=backend, model="gif-1")


def test_without_thought_there_is_none_to_show() -> None:
    sent = config(reasoning=Reasoning(effort="none", summary="auto"))
    assert sent["thinkingConfig"] == {"thinkingBudget": 0}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Image(data=b"%PDF-1.7", mime="image/png"), "are application/pdf, not image/png"),
        (Document(data=JPEG, mime="application/pdf"), "are image/jpeg, not application/pdf"),
        (Image(url="data:image/png;base64,"), "is empty"),
    ],
)
def test_media_that_are_not_what_they_are_said_to_be_are_refused(part: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parts_of(part)


@pytest.mark.parametrize(
    "image",
    [Image(data=JPEG, mime="image/png"), Image(url="data:image/png;base64," + base64.b64encode(JPEG).decode())],
    ids=["bytes", "url"],
)
def test_an_image_of_another_type_than_is_said_is_sent_as_is_said_and_noted(image: Image) -> None:
    asked = request(Message.user(image, image))
    assert wire_of(asked).body["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "image/png"
    (note,) = wire_of(asked).warnings
    assert (note.kind, note.subject) == ("note", "image")
    assert "image/jpeg" in note.message


def test_what_media_weigh_is_what_is_sent() -> None:
    fits, above = bytes(14_999_999), bytes(15_000_001)
    assert parts_of(Image(data=fits, mime="image/png"), backend=VERTEX)
    with pytest.raises(InvalidRequest, match="more than 20 MB of media"):
        parts_of(Image(data=above, mime="image/png"), backend=VERTEX)


def test_one_pdf_has_a_limit_of_its_own() -> None:
    with pytest.raises(InvalidRequest, match="more than 50 MB of one PDF"):
        parts_of(Document(data=b"%PDF-" + bytes(50_000_000), mime="application/pdf"))


def test_the_mark_of_native_data_goes_by_the_door_and_not_by_the_backends_name() -> None:
    named = Google(name="mine", vendor="vertex", project="p", location="global")
    assert wire_of(request(), named).origin == "vertex/generateContent"
