"""What is known of Bedrock's model families, as data: a pattern, its facts, where they stand and when they were read.

A model's id is looked up without the region of its inference profile ("us.", "global.") and without the ARN around it.
The first row whose pattern matches its beginning holds. A newer model of a known maker gets that maker's newest rules,
and a name that tells nothing (an application profile, an imported model) gets `UNKNOWN`: what is asked is sent, and the
service refuses it loudly where it must. Rows of the caller's own come before these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from .. import families

__all__ = ["CLAUDE_BUDGETS", "FAMILIES", "UNKNOWN", "Families", "Family", "base_model"]

Thinks: TypeAlias = Literal["budget", "adaptive", "nova", "effort", "always"]
_Effort: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
_Kind: TypeAlias = Literal["image", "audio", "video", "document"]
_Choice: TypeAlias = Literal["any", "tool"]
_Place: TypeAlias = Literal["system", "tools", "messages"]

CLAUDE_BUDGETS: dict[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}
"""What an effort word means to models that take a budget in tokens only."""

_GUIDE = "https://docs.aws.amazon.com/bedrock/latest/userguide"
_FEATURES = f"{_GUIDE}/conversation-inference-supported-models-features.html"
_PARAMETERS = f"{_GUIDE}/model-parameters.html"
_THINKING = f"{_GUIDE}/claude-messages-extended-thinking.html"
_READ = "2026-11-23"

_WORDS: tuple[_Effort, ...] = ("minimal", "low", "medium", "high", "xhigh", "max")
_NONE: frozenset[Any] = frozenset()
_ALL_MEDIA: frozenset[_Kind] = frozenset({"image", "document", "video"})
_SOUND: frozenset[_Kind] = frozenset({"audio"})
_READABLE: frozenset[_Kind] = frozenset({"image", "document"})
_EVERYWHERE: frozenset[_Place] = frozenset({"system", "tools", "messages"})
_REGION = re.compile(r"(us|eu|apac|jp|au|ca|global|us-gov|sa|me|af|in|il|mx|uk|cn)\.(?=[a-z0-9-]+\.)")
_ARN = re.compile(
    r"arn:[^:]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile|custom-model|provisioned-model)/(?P<id>.+)"
)


@dataclass(frozen=True, slots=True)
class Family:
    """What holds for all models whose id begins with `pattern`.

    Attributes:
        pattern: Regular expression for the beginning of the id.
        maker: Who made it; signed reasoning goes back to models of the same maker.
        tools: Whether it calls tools.
        choices: Forced choices of a tool it takes beside "auto": "any", "tool".
        no_tools: Whether it takes Claude's own `tool_choice: none`.
        strict: Whether `strict` may stand at a tool.
        schema: How an answer is held to a JSON schema: by the service ("native"), by a forced tool, or not at all.
        inline: Whether it does not see what `$ref` points to.
        system: Whether it takes instructions apart from the turns.
        media: Kinds of media that a user's turn may hold.
        s3: Whether media may lie in S3.
        result_media: Kinds of media that a tool's result may hold.
        beside_results: Kinds of content that may share a turn with tool results; "pdf" is a document of that form only.
        status: Whether a tool's result says if it failed.
        leads: Whether a conversation may begin with the model's turn.
        prefill: Whether it may end with the model's turn, which the answer then goes on with.
        tool_id_length: Exact length of alphanumeric ids of tool calls, where it insists on one.
        issued_ids: Whether it takes the ids that Bedrock gave itself in spite of that.
        thinks: How reasoning is asked for; "always" reasons unasked, None never.
        efforts: Effort words it takes, weakest first.
        replays: Whether it wants its signed reasoning back.
        sampling: Whether temperature and top_p can be set, and both at once.
        fields: Settings that go into `additionalModelRequestFields`, and the path there.
        stops: Most stop texts it takes, or None for no known limit.
        cache: Where cache points may stand; `ttls` are the spans they may ask for beside the usual.
        counts: Whether CountTokens knows it.
        source: Where these facts stand, and `checked` when they were read.
    """

    pattern: str
    maker: str = ""
    tools: bool = True
    choices: frozenset[_Choice] = frozenset[_Choice]({"any", "tool"})
    no_tools: bool = False
    strict: bool = False
    schema: Literal["native", "tool"] | None = "tool"
    inline: bool = False
    system: bool = True
    media: frozenset[_Kind] = _NONE
    s3: bool = False
    result_media: frozenset[_Kind] = frozenset[_Kind]({"image"})
    beside_results: frozenset[str] = frozenset({"text", "image", "document", "video", "audio"})
    status: bool = True
    leads: bool = False
    prefill: bool = False
    tool_id_length: int | None = None
    issued_ids: bool = False
    thinks: Thinks | None = None
    efforts: tuple[_Effort, ...] = ()
    replays: bool = False
    sampling: Literal["both", "one", "none"] = "both"
    fields: Mapping[str, str] = field(default_factory=dict)
    stops: int | None = None
    cache: frozenset[_Place] = _NONE
    ttls: frozenset[str] = _NONE
    counts: bool = False
    source: str = _FEATURES
    checked: str = _READ

    def __post_init__(self) -> None:
        if self.reasoning and not self.efforts:
            raise ValueError(f"thinks={self.thinks!r} needs efforts, such as ['low', 'high']")

    @property
    def reasoning(self) -> bool:
        """Whether the effort can be chosen."""
        return self.thinks not in (None, "always")


_CLAUDE = Family(
    r"anthropic\.",
    maker="anthropic",
    no_tools=True,
    strict=True,
    schema="native",
    media=_READABLE,
    result_media=_READABLE,
    # Recorded traffic, read 2026-11-25: a PDF is taken there, while documents of other formats are refused
    # (github.com/pydantic/pydantic-ai/pull/6098).
    beside_results=frozenset({"text", "image", "pdf"}),
    leads=True,
    thinks="adaptive",
    efforts=("low", "medium", "high", "xhigh", "max"),
    replays=True,
    sampling="none",
    cache=_EVERYWHERE,
    ttls=frozenset({"1h"}),
    counts=True,
    source=_THINKING,
)
"""The newest rules for Claude."""

# These take sampling settings, and let an answer be begun for them.
_CLAUDE_4 = replace(
    _CLAUDE,
    thinks="budget",
    efforts=_WORDS,
    prefill=True,
    sampling="both",
    fields={"top_k": "top_k"},
    strict=False,
    schema="tool",
    ttls=_NONE,
)
_CLAUDE_45 = replace(_CLAUDE_4, sampling="one", strict=True, schema="native", ttls=frozenset({"1h"}))
_CLAUDE_3 = replace(_CLAUDE_4, thinks=None, efforts=(), replays=False, no_tools=False, cache=_NONE, counts=False)

_NOVA = Family(
    r"amazon\.nova-",
    maker="amazon",
    inline=True,
    media=_ALL_MEDIA,
    s3=True,
    prefill=True,
    thinks="nova",
    efforts=("low", "medium", "high"),
    fields={"top_k": "inferenceConfig.topK"},
    stops=4,
    cache=frozenset({"system", "messages"}),
    source="https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html",
)
"""The newest rules for Nova."""

_NOVA_1 = replace(_NOVA, thinks=None, efforts=())

_LLAMA = Family(
    r"meta\.llama",
    maker="meta",
    choices=_NONE,
    schema=None,
    media=_READABLE,
    result_media=_READABLE,
    beside_results=_NONE,
    # "This model doesn't support the stopSequences field."
    stops=0,
)
_MISTRAL = Family(
    r"mistral\.",
    maker="mistral",
    media=_READABLE,
    result_media=frozenset({"document"}),
    beside_results=_NONE,
    tool_id_length=9,
    fields={"top_k": "top_k"},
    stops=10,
)
_OPEN = Family(r"(qwen|deepseek|google|minimax|moonshotai?|nvidia|zai)\.", schema="native")
"""Open models: what they take is their vendors' affair, and documented for none of them in one place."""

UNKNOWN = Family(
    r"",
    schema="native",
    media=_ALL_MEDIA | _SOUND,
    s3=True,
    result_media=_ALL_MEDIA,
    fields={"top_k": "top_k"},
    cache=_EVERYWHERE,
    ttls=frozenset({"1h"}),
    strict=True,
)
"""The rules for an id that names no maker."""


def _like(family: Family, pattern: str, **facts: Any) -> Family:
    return replace(family, pattern=pattern, **facts)


FAMILIES: tuple[Family, ...] = (
    _like(_CLAUDE_3, r"anthropic\.claude-(v2|instant)\b", tools=False, schema=None, media=frozenset({"document"})),
    _like(_CLAUDE_3, r"anthropic\.claude-3-5-haiku", cache=_EVERYWHERE, counts=True),
    _like(_CLAUDE_3, r"anthropic\.claude-3-5-sonnet-20241022", cache=_EVERYWHERE, counts=True),
    _like(_CLAUDE_4, r"anthropic\.claude-3-7\b"),
    _like(_CLAUDE_3, r"anthropic\.claude-3-"),
    _like(_CLAUDE_45, r"anthropic\.claude-opus-4-1\b", strict=False, schema="tool", ttls=_NONE),
    _like(_CLAUDE_45, r"anthropic\.claude-(sonnet|opus|haiku)-4-5\b"),
    # Nobody can begin an answer for these. Four words of effort; a budget is still taken.
    _like(
        _CLAUDE,
        r"anthropic\.claude-(sonnet|opus|haiku)-4-6\b",
        efforts=("low", "medium", "high", "max"),
        sampling="one",
        fields={"top_k": "top_k"},
    ),
    _like(_CLAUDE_4, r"anthropic\.claude-(sonnet|opus|haiku)-4(-\d{8}|$)"),
    _CLAUDE,
    _like(_NOVA_1, r"amazon\.nova-micro", media=_NONE, s3=False, result_media=_NONE),
    _like(_NOVA_1, r"amazon\.nova-(lite|pro|premier)"),
    _NOVA,
    _like(
        UNKNOWN,
        r"amazon\.titan-",
        maker="amazon",
        tools=False,
        schema=None,
        system=False,
        media=frozenset({"document"}),
        s3=False,
        fields={},
        stops=1,
        cache=_NONE,
        ttls=_NONE,
    ),
    _like(_LLAMA, r"meta\.llama(2|3-8b|3-70b)\b", tools=False, media=frozenset({"document"})),
    _like(_LLAMA, r"meta\.llama3-2-(1b|3b)", tools=False, media=_NONE),
    _like(_LLAMA, r"meta\.llama3-[13]\b", media=frozenset({"document"})),
    _LLAMA,
    _like(_MISTRAL, r"mistral\.mi(s|x)tral-\d", tools=False, schema=None, system=False, media=frozenset({"document"})),
    # Recorded traffic, read 2026-11-25: Bedrock's own long ids are taken back. Short ones of others are not, and the
    # same holds for the models of 2402 (github.com/anomalyco/opencode/pull/48843); Ministral refuses the long ones, too
    # (github.com/vercel/ai/issues/11802).
    _like(_MISTRAL, r"mistral\.(pixtral-large|mistral-large-2402)", issued_ids=True),
    _like(_MISTRAL, r"mistral\.mistral-small", issued_ids=True, media=_NONE, choices=frozenset({"any"})),
    _like(_MISTRAL, r"mistral\.(mistral-large-3|ministral-3|magistral|voxtral)", schema="native"),
    _MISTRAL,
    Family(
        r"cohere\.command-r\b",
        maker="cohere",
        choices=_NONE,
        schema=None,
        media=frozenset({"document"}),
        fields={
            "top_k": "k",
            "seed": "seed",
            "presence_penalty": "presence_penalty",
            "frequency_penalty": "frequency_penalty",
        },
        stops=4,
        source=_PARAMETERS,
    ),
    Family(
        r"ai21\.jamba-1-5\b",
        maker="ai21",
        choices=_NONE,
        schema=None,
        media=frozenset({"document"}),
        fields={"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"},
        source=_PARAMETERS,
    ),
    Family(
        r"openai\.gpt-oss",
        maker="openai",
        schema="native",
        inline=True,
        thinks="effort",
        efforts=("low", "medium", "high"),
        # "This model doesn't support the stopSequences field."
        stops=0,
        source=_PARAMETERS,
    ),
    Family(r"writer\.", maker="writer", choices=_NONE, schema=None, beside_results=_NONE, status=False),
    _like(_OPEN, r"deepseek\.r1\b", maker="deepseek", tools=False, schema=None, thinks="always"),
    _like(_OPEN, r"moonshot(ai)?\..*thinking", maker="moonshot", thinks="always", result_media=_NONE),
    _like(_OPEN, r"qwen\.", maker="qwen", leads=True),
    _OPEN,
)


def base_model(model: str) -> str:
    """Return a model's own id: without the region of an inference profile, and without the ARN around it."""
    if (arn := _ARN.match(model)) is not None:
        model = arn["id"]
    return _REGION.sub("", model, count=1) if _REGION.match(model) else model


class Families(families.Families[Family]):
    """The table, with rows of the caller's own before it; they may be for an ARN as it is written."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = (), *, backend: str) -> None:
        super().__init__(rows, table=FAMILIES, rest=UNKNOWN, backend=backend, base=base_model)
