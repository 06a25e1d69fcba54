"""The tables of model families as tables: every row is in use and dated, and a name finds the row that is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from genkit.backends.bedrock import models as bedrock
from genkit.backends.google import models as google
from genkit.backends.openai import models as openai
from genkit.backends.services import SERVICES

GOOGLE = google.Families(None, name="google").of
BEDROCK = bedrock.Families(backend="bedrock").of
FIND: dict[str, Callable[[str], Any]] = {"openai": openai.family, "google": GOOGLE, "bedrock": BEDROCK}
TABLES: dict[str, tuple[Any, ...]] = {
    "openai": openai.FAMILIES,
    "google": google.FAMILIES,
    "bedrock": bedrock.FAMILIES,
}
ROWS = [pytest.param(row, id=f"{name} {row.pattern}") for name, rows in TABLES.items() for row in rows]
SOURCED = [
    *ROWS,
    *(pytest.param(row, id=name) for name, row in SERVICES.items()),
    pytest.param(openai.NEWEST, id="openai newest"),
    pytest.param(google.NEWEST, id="google newest"),
    pytest.param(bedrock.UNKNOWN, id="bedrock unknown"),
]

# Names as the vendors list them, read 2026-11-25:
# https://developers.openai.com/api/docs/models
OPENAI_NAMES = """
gpt-6-astra gpt-5.6 gpt-5.6-sol gpt-5.6-luna gpt-5.5-pro gpt-5.5 gpt-5.4-pro gpt-5.4 gpt-5.4-mini gpt-5.4-nano
gpt-5.3-chat-latest gpt-5.3-codex gpt-5.2-pro gpt-5.2 gpt-5.2-chat-latest gpt-5.1-codex-max gpt-5.1-codex
gpt-5.1-codex-mini gpt-5.1 gpt-5.1-2025-11-13 gpt-5-chat-latest gpt-5-pro gpt-5-codex gpt-5 gpt-5-mini
gpt-5-nano gpt-5-2025-08-07 o1-mini o1-preview o1-pro o3-pro o3-deep-research o4-mini-deep-research o3-mini o3
o4-mini o1 o1-2024-12-17 gpt-4o-audio-preview gpt-4o-mini-audio-preview gpt-audio gpt-audio-mini
gpt-4o-search-preview gpt-4o-mini-search-preview gpt-4o gpt-4o-mini gpt-4.1 gpt-4.1-mini gpt-4.5-preview
gpt-4-turbo gpt-4-vision-preview gpt-4-1106-vision-preview chatgpt-4o-latest gpt-4 gpt-4-0613 gpt-4-32k
gpt-3.5-turbo gpt-35-turbo ft:gpt-4o-mini-2024-07-18:acme::abc
"""
# https://ai.google.dev/gemini-api/docs/models and https://ai.google.dev/gemini-api/docs/deprecations
GOOGLE_NAMES = """
gemini-3.8-flash gemini-3.7-flash gemini-3.6-flash gemini-3.5-flash gemini-3.5-flash-lite gemini-3.5-pro
gemini-flash-latest gemini-flash-lite-latest gemini-pro-latest gemini-3.1-flash-image-preview
gemini-3.1-flash-lite-image gemini-3-pro-image-preview nano-banana-pro-preview gemini-3.1-flash-tts-preview
gemini-3.1-flash-lite gemini-3.1-pro-preview gemini-3-pro-preview gemini-3-flash-preview gemini-2.5-flash-image
gemini-2.5-flash-preview-tts gemini-2.5-pro-preview-tts gemini-2.5-flash-lite gemini-2.5-flash
gemini-2.5-flash-preview-09-2025 gemini-robotics-er-1.5-preview gemini-2.5-pro gemini-2.5-pro-preview-03-25
gemini-2.5-computer-use-preview-10-2025 gemini-2.0-flash gemini-2.0-flash-001 gemini-2.0-flash-lite
gemini-1.5-flash gemini-1.5-pro-002 gemini-1.0-pro gemini-pro gemini-pro-vision gemma-3-27b-it gemma-3n-e4b-it
gemma-2-9b-it gemma-4-31b-it
"""
# https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html and .../inference-profiles-support.html
BEDROCK_NAMES = """
anthropic.claude-v2 anthropic.claude-v2:1 anthropic.claude-instant-v1 anthropic.claude-3-5-haiku-20241022-v1:0
anthropic.claude-3-5-sonnet-20241022-v2:0 anthropic.claude-3-5-sonnet-20240620-v1:0
anthropic.claude-3-7-sonnet-20250219-v1:0 anthropic.claude-3-haiku-20240307-v1:0
us.anthropic.claude-3-opus-20240229-v1:0 anthropic.claude-opus-4-1-20250805-v1:0
anthropic.claude-sonnet-4-5-20250929-v1:0 anthropic.claude-haiku-4-5-20251001-v1:0
anthropic.claude-opus-4-5-20251101-v1:0 anthropic.claude-sonnet-4-6 global.anthropic.claude-opus-4-6-v1
anthropic.claude-sonnet-4-20250514-v1:0 anthropic.claude-opus-4-20250514-v1:0 us.anthropic.claude-opus-4-7
anthropic.claude-opus-4-8 anthropic.claude-opus-5 amazon.nova-micro-v1:0 amazon.nova-lite-v1:0
amazon.nova-pro-v1:0 us.amazon.nova-premier-v1:0 amazon.nova-2-lite-v1:0 amazon.titan-text-express-v1
amazon.titan-text-lite-v1 meta.llama3-8b-instruct-v1:0 meta.llama3-70b-instruct-v1:0 meta.llama2-13b-chat-v1
us.meta.llama3-2-1b-instruct-v1:0 us.meta.llama3-2-3b-instruct-v1:0 meta.llama3-1-70b-instruct-v1:0
us.meta.llama3-3-70b-instruct-v1:0 us.meta.llama3-2-90b-instruct-v1:0 us.meta.llama4-scout-17b-instruct-v1:0
mistral.mistral-7b-instruct-v0:2 mistral.mixtral-8x7b-instruct-v0:1 us.mistral.pixtral-large-2502-v1:0
mistral.mistral-small-2402-v1:0 mistral.mistral-large-3-675b-instruct mistral.ministral-3-8b-instruct
mistral.magistral-small-2509 mistral.voxtral-mini-3b-2507 mistral.mistral-large-2402-v1:0
mistral.mistral-large-2407-v1:0 cohere.command-r-v1:0 cohere.command-r-plus-v1:0 ai21.jamba-1-5-large-v1:0
ai21.jamba-1-5-mini-v1:0 openai.gpt-oss-120b-1:0 openai.gpt-oss-20b-1:0 us.writer.palmyra-x4-v1:0
us.writer.palmyra-x5-v1:0 us.deepseek.r1-v1:0 deepseek.v3.2 moonshot.kimi-k2-thinking moonshotai.kimi-k2.5
qwen.qwen3-32b-v1:0 qwen.qwen3-coder-30b-a3b-v1:0 google.gemma-3-27b-it minimax.minimax-m2
nvidia.nemotron-nano-9b-v2 zai.glm-4.7
"""
NAMES = {"openai": OPENAI_NAMES.split(), "google": GOOGLE_NAMES.split(), "bedrock": BEDROCK_NAMES.split()}


@pytest.mark.parametrize("row", SOURCED)
def test_a_row_has_a_source_and_was_read_by_today(row: Any) -> None:
    assert row.source.startswith("https://")
    # Somewhere on earth it may be tomorrow already.
    assert date(2026, 1, 1) <= date.fromisoformat(row.checked) <= datetime.now(timezone(timedelta(hours=14))).date()


@pytest.mark.parametrize("vendor", TABLES)
def test_every_row_is_the_first_match_of_a_real_name(vendor: str) -> None:
    found = {id(FIND[vendor](name)) for name in NAMES[vendor]}
    assert [row.pattern for row in TABLES[vendor] if id(row) not in found] == []


@pytest.mark.parametrize("vendor", TABLES)
def test_every_real_name_has_a_row(vendor: str) -> None:
    rows = {id(row) for row in TABLES[vendor]}
    assert [name for name in NAMES[vendor] if id(FIND[vendor](name)) not in rows] == []


# Names that only begin like an older model's.
OPENAI_LOOKALIKES = """
gpt-5.60 gpt-5.50 gpt-5.40-mini gpt-5.30 gpt-5.20 gpt-5.10 gpt-5.10-codex gpt-50 gpt-50-mini gpt-40 gpt-40o
gpt-4.10-mini gpt-4.50 gpt-4.7 gpt-30-turbo o10 o10-mini o11 o30 o40-mini o5
"""
GOOGLE_LOOKALIKES = """
gemini-10-pro gemini-20-flash gemini-25-flash gemini-30-pro gemini-30-flash gemini-3.10-pro gemini-3.10-flash-lite
gemini-3.50-flash gemini-3.80-flash gemini-prototype
"""
CLAUDE_LOOKALIKES = """
anthropic.claude-v20 anthropic.claude-30-haiku anthropic.claude-opus-4-10-v1 us.anthropic.claude-sonnet-4-50
global.anthropic.claude-opus-4-60-v1 anthropic.claude-sonnet-40 anthropic.claude-haiku-50
"""
LOOKALIKES = [
    *(("openai", name, openai.NEWEST) for name in OPENAI_LOOKALIKES.split()),
    *(("google", name, google.NEWEST) for name in GOOGLE_LOOKALIKES.split()),
    ("google", "gemma-30-27b-it", GOOGLE("gemma-4-31b-it")),
    ("google", "gemma-10-2b", GOOGLE("gemma-4-31b-it")),
    *(("bedrock", name, BEDROCK("anthropic.claude-opus-5")) for name in CLAUDE_LOOKALIKES.split()),
    ("bedrock", "meta.llama20-8b", BEDROCK("meta.llama4-scout-17b-instruct-v1:0")),
    ("bedrock", "meta.llama3-10-70b-instruct-v1:0", BEDROCK("meta.llama4-scout-17b-instruct-v1:0")),
    ("bedrock", "meta.llama3-30-70b-instruct-v1:0", BEDROCK("meta.llama4-scout-17b-instruct-v1:0")),
    ("bedrock", "ai21.jamba-1-50-large-v1:0", bedrock.UNKNOWN),
    ("bedrock", "deepseek.r10-v1:0", BEDROCK("deepseek.v3.2")),
]


@pytest.mark.parametrize(("vendor", "name", "rules"), LOOKALIKES)
def test_a_name_that_only_begins_like_an_older_one_gets_newer_rules(vendor: str, name: str, rules: Any) -> None:
    assert FIND[vendor](name) is rules


UNKNOWN = [
    ("openai", "gpt-7-mini", openai.NEWEST),
    ("openai", "gpt-6.2-sol", openai.NEWEST),
    ("openai", "whatever", openai.NEWEST),
    ("openai", "ft:gpt-7:acme::abc", openai.NEWEST),
    ("google", "gemini-4-ultra", google.NEWEST),
    ("google", "gemini-3.9-flash", google.NEWEST),
    ("google", "whatever", google.NEWEST),
    ("google", "publishers/meta/models/llama-9", google.NEWEST),
    ("bedrock", "anthropic.claude-opus-9", BEDROCK("anthropic.claude-opus-5")),
    ("bedrock", "us.amazon.nova-9-max-v1:0", BEDROCK("amazon.nova-2-lite-v1:0")),
    ("bedrock", "meta.llama9-1t-instruct-v1:0", BEDROCK("meta.llama4-scout-17b-instruct-v1:0")),
    ("bedrock", "newcomer.model-1", bedrock.UNKNOWN),
]


@pytest.mark.parametrize(("vendor", "name", "rules"), UNKNOWN)
def test_an_unknown_name_gets_the_newest_rules(vendor: str, name: str, rules: Any) -> None:
    assert FIND[vendor](name) is rules


def test_the_newest_rules_of_openai_allow_what_its_newest_row_does() -> None:
    row, newest = openai.FAMILIES[0], openai.NEWEST
    assert set(newest.efforts) >= set(row.efforts)
    assert newest.apis >= row.apis
    assert newest.media >= row.media
    assert (newest.reasons, newest.role, newest.stop) == (row.reasons, row.role, row.stop)


def test_the_newest_rules_of_google_are_those_of_its_newest_row() -> None:
    assert replace(google.FAMILIES[0], pattern="") == google.NEWEST


def test_a_deployment_whose_name_tells_nothing_gets_no_rules_at_all() -> None:
    assert openai.family("production", SERVICES["azure"]) is openai.FREE


@pytest.mark.parametrize(
    "path",
    [
        "models/gemini-2.5-pro",
        "google/gemini-2.5-pro",
        "publishers/google/models/gemini-2.5-pro",
        "projects/p/locations/global/publishers/google/models/gemini-2.5-pro",
    ],
)
def test_a_path_before_the_name_of_a_gemini_changes_nothing(path: str) -> None:
    assert GOOGLE(path) is GOOGLE("gemini-2.5-pro")


@pytest.mark.parametrize("path", ["tunedModels/acme-7", "projects/p/locations/us-central1/endpoints/1234"])
def test_a_tuned_gemini_whose_name_tells_nothing_gets_the_newest_rules(path: str) -> None:
    assert GOOGLE(path) is google.NEWEST


@pytest.mark.parametrize("region", ["us", "eu", "apac", "jp", "au", "ca", "global", "us-gov", "sa"])
@pytest.mark.parametrize("name", ["anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-micro-v1:0"])
def test_a_region_before_the_id_of_a_model_changes_nothing(region: str, name: str) -> None:
    assert BEDROCK(f"{region}.{name}") is BEDROCK(name)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
@pytest.mark.parametrize("resource", ["foundation-model/", "123456789012:inference-profile/us."])
def test_an_arn_around_the_id_of_a_model_changes_nothing(partition: str, resource: str) -> None:
    account, _, kind = resource.rpartition(":")
    arn = f"arn:{partition}:bedrock:us-east-1:{account}:{kind}anthropic.claude-3-7-sonnet-20250219-v1:0"
    assert BEDROCK(arn) is BEDROCK("anthropic.claude-3-7-sonnet-20250219-v1:0")


@pytest.mark.parametrize(
    "resource", ["application-inference-profile/abc", "imported-model/abc", "default-prompt-router/anthropic.claude:1"]
)
def test_an_arn_that_names_no_model_gets_the_rules_for_what_is_unknown(resource: str) -> None:
    assert BEDROCK(f"arn:aws:bedrock:us-east-1:123456789012:{resource}") is bedrock.UNKNOWN
