"""Media: which formats, by which name, and what is refused before it is sent."""

from __future__ import annotations

import pytest

from genkit.backends.bedrock import media
from genkit.backends.bedrock.models import UNKNOWN
from genkit.errors import InvalidRequest, Unsupported
from genkit.types import Audio, Document, Image, Media, Message, Video
from tests.backends.bedrock.cases import wire
from tests.backends.bedrock.service_model import model

SHAPES = {"image": "ImageFormat", "document": "DocumentFormat", "video": "VideoFormat", "audio": "AudioFormat"}


def form(part: Media) -> str:
    (block,) = media.block(part, UNKNOWN, name="Document 1", backend="bedrock").values()
    found: str = block["format"]
    return found


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_every_format_is_one_of_awss(kind: str) -> None:
    assert set(media.FORMATS[kind].values()) <= set(model().shape_for(SHAPES[kind]).enum)


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (Image(data=b"\x89PNG\r\n\x1a\n"), "png"),
        (Image(data=b"\xff\xd8\xff", mime="image/jpeg; q=1"), "jpeg"),
        (Document(data=b"a,b", mime="TEXT/CSV"), "csv"),
        (Document(data=b"# Hi", name="read.md"), "md"),
        (Document(url="s3://my-bucket/paper.pdf"), "pdf"),
        (Video(data=b"\x00\x00\x00\x14ftypisom"), "mp4"),
        (Video(url="s3://my-bucket/film.3gp"), "three_gp"),
        (Audio(data=b"RIFF\x00\x00\x00\x00WAVE"), "wav"),
    ],
)
def test_a_format_is_told_by_type_bytes_or_name(part: Media, wanted: str) -> None:
    assert form(part) == wanted


@pytest.mark.parametrize(
    ("part", "kind", "says"),
    [
        (Image(data=b"BM", mime="image/bmp"), Unsupported, "it takes gif, jpeg, png, webp"),
        (Image(data=b"%PDF-1.4"), Unsupported, "application/pdf"),
        (Document(data=b"{}", mime="application/json"), Unsupported, "it takes csv"),
        (Document(data=b"what"), InvalidRequest, "mime="),
        (Image(data=b"", mime="image/png"), InvalidRequest, "no bytes"),
        (Image(url="s3://X/y.png"), InvalidRequest, "s3://bucket/key"),
        (Image(file_id="file-1"), Unsupported, "by file id"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_way_out(part: Media, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        form(part)


def test_a_picture_of_fifty_megabytes_is_refused_before_it_is_sent() -> None:
    said = "66,666,668 bytes in base64, and a request takes 25,000,000: give it as an s3://"
    with pytest.raises(InvalidRequest, match=said):
        form(Image(data=bytes(50_000_000), mime="image/png"))


def test_bytes_are_counted_as_they_are_sent() -> None:
    with pytest.raises(InvalidRequest, match="in base64"):
        form(Image(data=bytes(20_000_000), mime="image/png"))
    assert form(Image(data=bytes(18_000_000), mime="image/png")) == "png"


def test_media_that_are_too_many_together_are_refused_before_they_are_sent() -> None:
    pictures = [Image(data=bytes(10_000_000), mime="image/png")] * 2
    assert wire(Message.user("See", pictures[0]))
    with pytest.raises(InvalidRequest, match="the media of this request have 26,666,672 bytes"):
        wire(Message.user("See", *pictures))


@pytest.mark.parametrize(
    "part",
    [
        Image(data=b"\xff\xd8\xff\xe0\x00\x10JFIF", mime="image/png"),
        Document(data=b"\x89PNG\r\n\x1a\n", mime="application/pdf"),
    ],
)
def test_bytes_that_are_certainly_of_another_type_than_is_said_are_refused(part: Media) -> None:
    with pytest.raises(InvalidRequest, match="the bytes of this"):
        form(part)
