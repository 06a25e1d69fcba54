"""What people write for media: paths, bytes, URLs, data URIs; what is stored is bytes or a URL all the same."""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

import genkit.sources
from genkit import LLM, Audio, Document, Image, Message, ToolResult, Video
from genkit.errors import ConfigError, InvalidRequest
from genkit.types import Part

PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff\xe0 and so on"
PDF = b"%PDF-1.7 and so on"
KINDS = pytest.mark.parametrize("kind", [Image, Audio, Video, Document])


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    return path


@pytest.mark.parametrize("write", [str, Path, lambda path: path.as_uri()])
def test_a_file_is_read_when_the_part_is_made(cat: Path, write: Any) -> None:
    image = Image(write(cat))
    cat.unlink()
    assert (image.data, image.mime, image.name, image.url) == (PNG, "image/png", "cat.png", None)


@pytest.mark.parametrize("write", [bytes, bytearray, memoryview])
def test_bytes_are_taken_as_they_are(write: Any) -> None:
    assert Image(write(PNG)) == Image(data=PNG, mime="image/png")


@KINDS
@pytest.mark.parametrize("url", ["https://x.example/a", "HTTP://x.example/a", "gs://b/a", "s3://b/a"])
def test_a_url_is_kept_and_not_opened(kind: Any, url: str) -> None:
    assert kind(url) == kind(url=url)


@pytest.mark.parametrize(
    ("uri", "data", "mime"),
    [
        ("data:image/png;base64," + base64.b64encode(PNG).decode(), PNG, "image/png"),
        ("data:;base64," + base64.b64encode(PNG).decode(), PNG, "image/png"),
        ("data:text/plain;charset=utf-8;base64,aGk", b"hi", "text/plain"),
        ("data:text/plain;base64,-_8", b"\xfb\xff", "text/plain"),
        ("DATA:text/plain,a%20b%00", b"a b\0", "text/plain"),
        ("data:,a", b"a", None),
    ],
)
def test_a_data_uri_is_decoded(uri: str, data: bytes, mime: str | None) -> None:
    document = Document(uri)
    assert (document.data, document.mime, document.url) == (data, mime, None)


def test_bytes_win_over_a_lying_ending(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(JPEG)
    assert Image(path).mime == "image/jpeg"


def test_the_ending_tells_where_the_bytes_do_not(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_bytes(b"# Notes")
    assert Document(path).mime == "text/markdown"


def test_a_text_that_begins_like_a_bitmap_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "cars.txt"
    path.write_bytes(b"BMW and others")
    assert Document(path).mime == "text/plain"


def test_what_is_said_comes_before_what_is_guessed(cat: Path) -> None:
    image = Image(cat, mime="image/x-own", name="tom", detail="low")
    assert (image.mime, image.name, image.detail) == ("image/x-own", "tom", "low")


def test_sound_in_an_mp4_or_ogg_file_is_sound_where_it_is_said_to_be() -> None:
    assert Audio(b"\0\0\0\x18ftypisom").mime == "audio/mp4"
    assert Video(b"\0\0\0\x18ftypisom").mime == "video/mp4"
    assert (Audio(b"OggS").mime, Video(b"OggS").mime) == ("audio/ogg", "video/ogg")


def test_bytes_of_no_known_type_have_none() -> None:
    assert Image(b"unknown").mime is None


# ---------------------------------------------------------------- values all the same


@pytest.mark.parametrize("part", [Image(PNG, detail="low"), Document(PDF, name="a.pdf"), Audio("https://x.example/a")])
def test_such_parts_survive_json_copies_and_pickles(part: Any) -> None:
    adapter: TypeAdapter[Part] = TypeAdapter(Part)
    assert type(part).model_validate_json(part.model_dump_json()) == part
    assert adapter.validate_json(adapter.dump_json(part)) == part
    assert adapter.validate_python(part.model_dump()) == part
    assert pickle.loads(pickle.dumps(part)) == part
    assert part.model_copy(update={"name": "b"}).name == "b"
    message = Message.user(part, ToolResult(id="1", parts=(part,)))
    assert Message.model_validate_json(message.model_dump_json()) == message


def test_a_part_remembers_only_what_was_given() -> None:
    assert Image(url="u").model_fields_set == {"url"}
    assert Image(PNG).model_fields_set == {"data", "mime"}


def test_the_source_is_no_field() -> None:
    with pytest.raises(ValidationError, match="source"):
        Image.model_validate({"source": "cat.png"})
    with pytest.raises(ValidationError, match="source"):
        Image(source="cat.png")  # type: ignore[call-arg]


def test_such_parts_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Image(PNG).name = "x"


def test_a_path_in_json_reads_no_file(cat: Path) -> None:
    assert Image.model_validate({"url": str(cat)}).data is None


# ---------------------------------------------------------------- what cannot be


@KINDS
def test_a_missing_file_is_an_error_that_says_where_it_was_sought(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file 'none\.png' \(looked in"):
        kind("none.png")
    with pytest.raises(ValueError, match="no file"):
        kind(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("", "names no file"),
        (b"", "is empty"),
        ("data:", "no comma"),
        ("data:;base64,@@@@", "does not decode"),
        ("data:;base64,aGk=aGk=", "does not decode"),
        ("data:image/png;base64,", "is empty"),
        ("a\0b", "cannot be read"),
        ("a" * 5000 + ".png", "cannot be read: File name too long"),
        (base64.b64encode(PNG * 500).decode(), "looks like base64"),
        ("ftp://x.example/a", r"ftp:// .* write Image\(url="),
        ("file://elsewhere/a", "of another machine"),
        (os.devnull, "device or pipe"),
        ("file:///a.jpg?x=1", "a file has no query"),
        ("file:///a.jpg#x", "a file has no query"),
        ("data:application/pdf;base64,JVBERi0=", r"application/pdf: write Document\("),
        ("data:audio/mpeg,x", r"audio/mpeg: write Audio\("),
        (3, "not int"),
        (PDF, r"application/pdf: write Document\("),
        (b"fLaC", r"audio/flac: write Audio\("),
    ],
)
def test_a_source_that_cannot_be_used_is_an_error_that_says_why(source: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        Image(source)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("kind", "data", "mime", "right"),
    [
        (Image, PDF, "application/pdf", "Document"),
        (Audio, b"x", "image/png", "Image"),
        (Video, b"x", "text/plain", "Doc"),
    ],
)
def test_a_type_of_another_kind_of_media_is_an_error(kind: Any, data: bytes, mime: str, right: str) -> None:
    with pytest.raises(ConfigError, match=rf"is said to be {mime}: write {right}"):
        kind(data, mime=mime)


@pytest.mark.parametrize("model", ["openai:gpt-4o", "google:gemini-2.5-flash", "bedrock:amazon.nova-lite-v1:0"])
def test_empty_data_out_of_json_are_not_sent(model: str) -> None:
    empty = Image.model_validate({"data": "", "mime": "image/png"})
    with pytest.raises(InvalidRequest, match=r"are empty|has no bytes|is empty"):
        LLM(model).plan(["?", empty])


def test_a_path_may_be_made_of_bytes(cat: Path) -> None:
    class Bytes:
        def __fspath__(self) -> bytes:
            return os.fsencode(cat)

    assert Image(Bytes()) == Image(cat)  # type: ignore[arg-type]


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        Image(tmp_path)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(ConfigError, match=r"a\.png' for Image is empty"):
        Image(tmp_path / "a.png")


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="everybody may read it")
def test_a_file_that_may_not_be_read_is_an_error(cat: Path) -> None:
    cat.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        Image(cat)


def test_a_file_beyond_all_limits_is_not_read(cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genkit.sources, "MAX_FILE_BYTES", 10)
    with pytest.raises(ConfigError, match=r"has \d+ bytes.*file service"):
        Image(cat)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="device or pipe"):
        Image(tmp_path / "pipe")


@pytest.mark.parametrize(("data", "mime"), [(JPEG, "image/png"), (PDF, "image/png"), (PNG, "image/jpg")])
def test_a_type_that_the_bytes_certainly_contradict_is_an_error(data: bytes, mime: str) -> None:
    with pytest.raises(ConfigError, match=f"not {mime}"):
        Image(data, mime=mime)


@pytest.mark.parametrize(
    ("kind", "data", "mime"),
    [
        (Image, JPEG, "image/jpg"),
        (Image, PNG, "image/apng"),
        (Image, b"BM", "image/png"),
        (Audio, b"ID3", "audio/aac"),
        (Audio, b"RIFF\0\0\0\0WAVE", "audio/x-wav"),
        (Document, b"BM", "text/plain"),
        (Document, PNG, "application/octet-stream"),
        (Audio, b"OggS", "audio/ogg; codecs=opus"),
    ],
)
def test_a_type_that_may_be_right_is_believed(kind: Any, data: bytes, mime: str) -> None:
    assert kind(data, mime=mime).mime == mime


@pytest.mark.parametrize("other", [{"data": PNG}, {"url": "https://x.example"}, {"file_id": "f"}])
def test_a_source_and_a_keyword_for_the_same_are_one_too_many(other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="given twice"):
        Image(PNG, **other)


@given(
    st.text(st.one_of(st.characters(), st.sampled_from("\ud800/:.,;=")), max_size=30), st.sampled_from(["", "data:"])
)
def test_no_text_at_all_ends_in_another_error(text: str, start: str) -> None:
    with contextlib.suppress(ConfigError):
        Image(start + text)


@given(st.binary(max_size=30), st.sampled_from([Image, Audio, Video, Document]))
def test_bytes_are_kept_as_they_are_or_refused(data: bytes, kind: Any) -> None:
    with contextlib.suppress(ConfigError):
        assert kind(data).data == data
