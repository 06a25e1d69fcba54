"""The OpenAI-compatible services, as data: one row is all that adding a service takes.

A row says where the service is, which variable holds its key, and in what its dialect of OpenAI's wire differs. Where a
fact is not documented, the row keeps the mildest assumption: what is asked is sent, and the service refuses it loudly
where it must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["OPENAI_URL", "SERVICES", "Service"]

Api: TypeAlias = Literal["auto", "chat", "responses"]

OPENAI_URL = "https://api.openai.com/v1"

_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_CHAT = (
    frozenset({"temperature", "top_p", "max_tokens", "stop", "seed", "n", "reasoning", "tool_choice"})
    | {"parallel_tool_calls"}
    | _PENALTIES
    | _LOGPROBS
)
# Servers that sample for themselves take more than OpenAI has.
_SERVER = _CHAT | {"top_k"}

_IMAGES = frozenset({"image"})
_READABLE = frozenset({"image", "document"})
_MEDIA = _READABLE | {"audio"}
_CACHES = frozenset({"cache_prompt"})


@dataclass(frozen=True, slots=True)
class Service:
    """One service that speaks OpenAI's wire.

    Attributes:
        name: The backend's name in "name:model".
        base_url: Address; fields such as `{region}` are filled from `variables`. Empty where there is no usual one.
        key_env: Variables that may hold the key, in order.
        key_required: Whether a missing key is an error before anything is sent.
        base_url_env: Variables that may hold the address instead.
        key_header: Header for the key; "authorization" takes it as a bearer token.
        variables: For each field of `base_url` the variables that may hold it.
        api: Which interface is used; "auto" chooses for each request.
        rules: Whose rules models follow: OpenAI's ("openai"), OpenAI's where the name of a deployment is a model's
            ("deployment"), or none that are known ("free").
        max_tokens: Field for the longest answer on Chat.
        seed: Field for the seed on Chat.
        stream_usage: Whether `stream_options.include_usage` is sent; where False usage comes unasked, or not at all.
        settings: Names of the settings that Chat takes there.
        reasoning: How effort is asked for: a field `reasoning_effort`, an object `reasoning`, or not at all.
        replay_thinking: Field in which the service wants its reasoning back beside tool calls, or None.
        named_tools: Whether a choice among several named tools can be sent.
        strict: Whether `strict` may stand in tools and schemas.
        schemas: Whether an answer can be held to a JSON schema.
        system_anywhere: Whether a system message stays where it stands in the conversation.
        media: Kinds of media that messages may hold.
        media_urls: Of these, the kinds that may be given by URL; sound never may.
        counts: Whether it counts the tokens of a prompt for Responses.
        tool_id_length: Exact length of alphanumeric ids of tool calls, where the service insists on one.
        source: Where these facts stand, and `checked` when they were read.
    """

    name: str
    base_url: str
    key_env: tuple[str, ...] = ()
    key_required: bool = True
    base_url_env: tuple[str, ...] = ()
    key_header: Literal["authorization", "api-key"] = "authorization"
    variables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    api: Api = "chat"
    rules: Literal["openai", "deployment", "free"] = "free"
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: Literal["seed", "random_seed"] = "seed"
    stream_usage: bool = True
    settings: frozenset[str] = _CHAT
    reasoning: Literal["reasoning_effort", "reasoning", "none"] = "reasoning_effort"
    replay_thinking: Literal["reasoning_content", "reasoning"] | None = None
    named_tools: bool = False
    strict: bool = True
    schemas: bool = True
    system_anywhere: bool = True
    media: frozenset[str] = _MEDIA
    media_urls: frozenset[str] = _IMAGES
    counts: bool = False
    tool_id_length: int | None = None
    source: str = ""
    checked: str = "2026-11-23"


_ROWS = (
    Service(
        "openai",
        OPENAI_URL,
        key_env=("OPENAI_API_KEY",),
        base_url_env=("OPENAI_BASE_URL",),
        api="auto",
        rules="openai",
        max_tokens="max_completion_tokens",
        # It caches without being asked, which is all that cache_prompt asks for.
        settings=_CHAT | _CACHES,
        named_tools=True,
        counts=True,
        source="https://developers.openai.com/api/reference/resources/chat",
    ),
    Service(
        "azure",
        "",
        key_env=("AZURE_OPENAI_API_KEY",),
        base_url_env=("AZURE_OPENAI_ENDPOINT",),
        key_header="api-key",
        # Its answer to OpenAI's route that counts: 404 (learn.microsoft.com/answers/questions/5889782, May 2026).
        api="auto",
        rules="deployment",
        max_tokens="max_completion_tokens",
        settings=_CHAT | _CACHES,
        named_tools=True,
        source="https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
    ),
    Service(
        "ollama",
        "http://localhost:11434/v1",
        key_env=("OLLAMA_API_KEY",),
        key_required=False,
        base_url_env=("OLLAMA_BASE_URL",),
        # tool_choice and n are listed as unsupported.
        settings=_CHAT - {"tool_choice", "n", "parallel_tool_calls"},
        media=_IMAGES,
        media_urls=frozenset(),
        source="https://docs.ollama.com/api/openai-compatibility",
    ),
    Service(
        "vllm",
        "http://localhost:8000/v1",
        key_env=("VLLM_API_KEY",),
        key_required=False,
        base_url_env=("VLLM_BASE_URL",),
        settings=_SERVER,
        media_urls=_READABLE,
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Service(
        "lmstudio",
        "http://localhost:1234/v1",
        key_env=("LMSTUDIO_API_KEY",),
        key_required=False,
        base_url_env=("LMSTUDIO_BASE_URL",),
        # Its list of fields has no n, no parallel_tool_calls and no logprobs.
        settings=_SERVER - _LOGPROBS - {"n", "parallel_tool_calls"},
        media=_IMAGES,
        source="https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
    ),
    Service(
        "llamacpp",
        "http://localhost:8080/v1",
        key_env=("LLAMA_API_KEY",),
        key_required=False,
        base_url_env=("LLAMACPP_BASE_URL",),
        settings=_SERVER,
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Service(
        "groq",
        "https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        max_tokens="max_completion_tokens",
        # Documented: no model supports logprobs or the penalties yet, and n must be 1.
        settings=_CHAT - _LOGPROBS - _PENALTIES - {"n"},
        media=_IMAGES,
        source="https://console.groq.com/docs/api-reference",
    ),
    Service(
        "together",
        "https://api.together.xyz/v1",
        key_env=("TOGETHER_API_KEY",),
        # logprobs is a number there, not a switch.
        settings=_SERVER - _LOGPROBS,
        media_urls=_READABLE,
        source="https://docs.together.ai/reference/chat-completions",
    ),
    Service(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        key_env=("FIREWORKS_API_KEY",),
        settings=_SERVER,
        source="https://docs.fireworks.ai/api-reference/post-chatcompletions",
    ),
    Service(
        "openrouter",
        "https://openrouter.ai/api/v1",
        key_env=("OPENROUTER_API_KEY",),
        settings=_SERVER,
        reasoning="reasoning",
        media_urls=_READABLE,
        source="https://openrouter.ai/docs/api-reference/parameters",
    ),
    Service(
        "deepseek",
        "https://api.deepseek.com/v1",
        key_env=("DEEPSEEK_API_KEY",),
        # Documented without seed and n.
        settings=(_CHAT | _CACHES) - {"seed", "n", "parallel_tool_calls"},
        # Wanted back beside the tool calls of the running turn; elsewhere it was once refused and is now ignored.
        replay_thinking="reasoning_content",
        schemas=False,
        strict=False,
        media=frozenset(),
        source="https://api-docs.deepseek.com/guides/thinking_mode",
    ),
    Service(
        "mistral",
        "https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        seed="random_seed",
        # Unknown fields are refused; usage comes in the last chunk unasked.
        stream_usage=False,
        settings=_CHAT - _LOGPROBS,
        media_urls=_READABLE,
        tool_id_length=9,
        source="https://docs.mistral.ai/api/endpoint/chat",
    ),
    Service(
        "xai",
        "https://api.x.ai/v1",
        key_env=("XAI_API_KEY",),
        max_tokens="max_completion_tokens",
        settings=_CHAT | _CACHES,
        media=_IMAGES,
        source="https://docs.x.ai/docs/api-reference",
    ),
    Service(
        "cerebras",
        "https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        max_tokens="max_completion_tokens",
        # The penalties and n are refused with status 400.
        settings=_CHAT - _PENALTIES - {"n"},
        media=frozenset(),
        source="https://inference-docs.cerebras.ai/resources/openai",
    ),
    Service(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        key_env=("NVIDIA_API_KEY",),
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    Service(
        "huggingface",
        "https://router.huggingface.co/v1",
        key_env=("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
        source="https://huggingface.co/docs/inference-providers/index",
    ),
    Service(
        "anthropic",
        "https://api.anthropic.com/v1",
        key_env=("ANTHROPIC_API_KEY",),
        # Documented as ignored: seed, logprobs, penalties, reasoning_effort, response_format, strict; n must be 1.
        settings=frozenset({"temperature", "top_p", "max_tokens", "stop", "tool_choice", "parallel_tool_calls"}),
        reasoning="none",
        strict=False,
        schemas=False,
        # System messages are moved to the beginning and joined.
        system_anywhere=False,
        media=_IMAGES,
        source="https://platform.claude.com/docs/en/api/openai-sdk",
    ),
    Service(
        "bedrock-openai",
        "https://bedrock-runtime.{region}.amazonaws.com/openai/v1",
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        variables=(("region", ("AWS_REGION", "AWS_DEFAULT_REGION")),),
        max_tokens="max_completion_tokens",
        source="https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html",
    ),
    Service(
        "vertex-openai",
        "https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}/endpoints/openapi",
        key_env=("GOOGLE_OAUTH_ACCESS_TOKEN",),
        variables=(("location", ("GOOGLE_CLOUD_LOCATION",)), ("project", ("GOOGLE_CLOUD_PROJECT",))),
        media_urls=_READABLE,
        source="https://cloud.google.com/vertex-ai/generative-ai/docs/start/openai",
    ),
    Service(
        "google-openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        source="https://ai.google.dev/gemini-api/docs/openai",
    ),
)

SERVICES: dict[str, Service] = {row.name: row for row in _ROWS}
"""Every known service by name."""
