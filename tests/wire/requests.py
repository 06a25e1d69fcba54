"""From recorded request bodies to genkit requests: what the translations of all vendors share.

Everything that has a word in genkit goes by that word, the rest as `extra`. What a vendor issued and a client sent back
(signatures, ids) enters the way a user has it, as the parts that the backend decodes from an answer.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

from pydantic import ValidationError

from genkit.types import Media, Settings, Timeouts

__all__ = ["TIMEOUTS", "NotYet", "given_media", "take_settings"]

JSON = dict[str, Any]
M = TypeVar("M", bound=Media)

# A runner that hangs says nothing.
TIMEOUTS = Timeouts(connect=5, first=20, idle=20, total=60)


class NotYet(Exception):  # no failure: the name of something still to come
    """The recorded request uses something that genkit has no word for yet; the argument names it."""


def take_settings(body: JSON, known: dict[str, str]) -> JSON:
    """Take the settings that have a word in genkit out of a body, and return them by that word.

    Args:
        body: Loses what is taken.
        known: Name of the setting by the vendor's name.
    """
    settings: JSON = {}
    for name, setting in known.items():
        if body.get(name) is None:
            continue
        try:
            value = getattr(Settings(**{setting: body[name]}), setting)
        except ValidationError:
            continue  # a value that genkit refuses goes as it is, by `extra`
        settings[setting] = value
        del body[name]
    return settings


def given_media(kind: type[M], source: str, **facts: Any) -> M:
    """Return a part for a URL or a data URL."""
    head, comma, body = source.partition(",")
    if head.startswith("data:") and comma and head.endswith(";base64"):
        try:
            return kind(data=base64.b64decode(body, validate=True), mime=head[5:-7], **facts)
        except binascii.Error:
            pass  # recordings were scrubbed: what is no base64 any more still travels as a URL
    return kind(url=source, **facts)
