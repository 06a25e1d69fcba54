"""Counting the tokens of a prompt before it is sent, as the Responses interface sees it."""

from __future__ import annotations

from typing import Any

from ....errors import BadResponse, Unsupported
from ....types import Request, Settings
from ...services import Service
from ...wire import WireRequest
from ..chat import merged_extra
from ..models import Family
from .request import encode

__all__ = ["decode_count", "encode_count"]

JSON = dict[str, Any]

# https://developers.openai.com/api/reference/resources/responses/subresources/input_tokens, as the openai package has
# it (3.54); read 2026-11-25. Other fields are refused.
_COUNTED = frozenset(
    {"conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id"}
    | {"reasoning", "text", "tool_choice", "tools", "truncation"}
)
# Settings that become tokens of the prompt, and how long to wait.
_SETTINGS = frozenset({"parallel_tool_calls", "reasoning", "timeout", "tool_choice"})
# Options that bring a prompt of their own, which this route does not take.
_OTHER_PROMPT = frozenset({"functions", "messages", "prompt", "response_format"})


def encode_count(request: Request, service: Service, *, origin: str, family: Family) -> WireRequest:
    """Return the request that counts a prompt; what does not become tokens is left out without a word.

    Raises:
        Unsupported: For a part of the prompt that only Chat Completions can express.
        InvalidRequest: For a request without a prompt, or one that contradicts itself.
    """
    if other := sorted(_OTHER_PROMPT & merged_extra(request, service).keys()):
        raise Unsupported(
            f"{service.name} counts no tokens of what stands in extra under {other[0]!r}", backend=service.name
        )
    settings = {name: getattr(request.settings, name) for name in _SETTINGS & request.settings.model_fields_set}
    asked = request.model_copy(update={"settings": Settings(**settings)})
    wire = encode(asked, service, origin=origin, stream=False, family=family)
    return WireRequest(
        path="/responses/input_tokens",
        body={name: value for name, value in wire.body.items() if name in _COUNTED},
        model=wire.model,
        api="input_tokens",
        origin=origin,
        warnings=wire.warnings,
        timeouts=wire.timeouts,
    )


def decode_count(data: JSON, *, backend: str, request_id: str | None) -> int:
    """Return the count.

    Raises:
        BadResponse: If there is none.
    """
    found = data.get("input_tokens")
    if not isinstance(found, int) or isinstance(found, bool):
        message = f"the answer holds no count of tokens: {str(data)[:200]}"
        raise BadResponse(message, backend=backend, sent=True, request_id=request_id)
    return found
