"""OpenAI's Responses interface, both ways: requests out, answers and streams in.

Nothing is kept at the vendor: requests carry `store: false`, and reasoning models are asked for their encrypted
reasoning (`include: ["reasoning.encrypted_content"]`), so that the next request can hand it back. Whoever wants the
vendor to keep answers passes `extra={"openai": {"store": True}}`; reasoning is then found there by its id, and the
encrypted form is not asked for. Deployments whose name tells no model are not asked either, since models that do not
reason refuse the question; add the `include` by `extra` there.

`extra` is merged last, as on Chat. An `include` is added to genkit's own, and an empty one asks for nothing.

A part's `native` data is the vendor's item without what the part itself says:

- `Thinking`, `Opaque`: the whole item.
- `Image` made by the model: the item without its `result`.
- `Text`, `ToolCall`: `{"item": ..., "reasoning": ...}`, the item without text or name, and the id of the reasoning
  before it, without which the vendor refuses the item's own id.
"""

from __future__ import annotations

from .answer import decode
from .count import decode_count, encode_count
from .request import encode
from .stream import Decoder

__all__ = ["Decoder", "decode", "decode_count", "encode", "encode_count"]
