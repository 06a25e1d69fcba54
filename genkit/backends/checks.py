"""What no vendor could answer, refused before anything is sent."""

from __future__ import annotations

from ..errors import InvalidRequest
from ..types import Request, Text, ToolChoice

__all__ = ["check_choice", "check_prompt"]


def check_prompt(request: Request) -> None:
    """Refuse a prompt that holds nothing.

    Raises:
        InvalidRequest: If there is no message, or nothing but empty text in all of them.
    """
    parts = [part for message in request.messages for part in message.parts]
    if all(isinstance(part, Text) and not part.text for part in parts):
        raise InvalidRequest("the prompt is empty: give at least one message with text or another part in it")


def check_choice(choice: ToolChoice, request: Request, *, further: bool) -> None:
    """Refuse a choice of tools that the request's tools cannot meet.

    Args:
        choice: The choice.
        request: With its tools.
        further: Whether there are more tools, by way of `extra`, whose names are not looked at.

    Raises:
        InvalidRequest: If there are no tools to choose from, or a named one is not among them.
    """
    if choice.mode in ("required", "named") and not (request.tools or further):
        raise InvalidRequest(f"tool_choice={choice.mode!r} needs tools, and the request has none")
    if choice.mode == "named" and not choice.names:
        raise InvalidRequest('tool_choice "named" needs names: ToolChoice(mode="named", names=("lookup",))')
    known = {tool.name for tool in request.tools}
    missing = [name for name in choice.names if name not in known]
    if missing and known and not further:
        raise InvalidRequest(f"tool_choice names {missing}, and the tools are {sorted(known)}")
