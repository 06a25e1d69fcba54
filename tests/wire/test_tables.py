"""The tables of what model families can do, held against the recordings: they allow what was taken, and no more.

Each vendor's folder has the facts: what a recorded body used, and which entry of the table has to allow it. What the
recordings do not tell (which name finds which row) is asked in `tests/backends/test_families.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from genkit import errors
from genkit.types import EmbedRequest

from . import cassettes
from .bedrock import tables as bedrock
from .cassettes import Interaction
from .conftest import Tally
from .exchanges import Conversation
from .google import tables as google
from .openai import tables as openai
from .reader import Reading
from .requests import NotYet
from .vendor import Vendor
from .vendors import VENDORS

pytestmark = pytest.mark.skipif(cassettes.ABSENT is not None, reason=str(cassettes.ABSENT))

TABLES: dict[str, ModuleType] = {
    "openai": openai,
    "azure": openai,
    "google": google,
    "vertex": google,
    "bedrock": bedrock,
}

_GOOGLE = "gemini/pydantic-ai__test_google_test_google_"
_ACROSS = "gemini/pydantic-ai__test_tool_search_test_cross_provider_capability_replay_openai-responses-gpt-5.4-google-"
_UNSIGNED = "the call of another vendor is sent with the signature that skips the check, as the recorder did"

# What is reported of a request that the vendor took as it was, each with the reason; all of it is the encoder's choice.
REPORTED = {
    (f"{_GOOGLE}decimal_native_output.json[0]", "output_schema"): "Gemini reads patterns, and does not hold to them",
    (f"{_ACROSS}gemini-3-flash-preview_.json[1]", "tool_call"): _UNSIGNED,
    (f"{_ACROSS}gemini-3-flash-preview_.json[0]", "tool_call"): _UNSIGNED,
}


@pytest.fixture(params=VENDORS, ids=lambda vendor: type(vendor).__name__)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.param
    return found


def recorded(vendor: Vendor) -> Iterator[tuple[Interaction, Reading]]:
    """Yield every recorded request of an interface that genkit speaks, with its answer."""
    for name in cassettes.names(vendor.backends):
        for interaction in cassettes.interactions(vendor, name):
            if not interaction.other:
                yield interaction, vendor.read(interaction, interaction.content)


def test_a_table_allows_what_its_vendor_took(vendor: Vendor, tally: Tally) -> None:
    problems = []
    for interaction, reading in recorded(vendor):
        if interaction.status != 200:
            continue
        table = TABLES[interaction.backend]
        tally.add("held against the tables", f"{interaction.backend} {interaction.api} requests that were taken")
        for what, allowed in table.facts(interaction, reading, table.rules(interaction)):
            tally.add("held against the tables", f"{interaction.backend} {interaction.api} facts")
            problems += [] if allowed else [f"{interaction.label} {interaction.model}: {what}"]
    assert not problems, "\n".join(problems)


def test_every_fact_of_a_recording_contradicts_a_table_that_allows_nothing(vendor: Vendor) -> None:
    seen, denied = set(), set()
    for interaction, reading in recorded(vendor):
        if interaction.status == 200:
            table = TABLES[interaction.backend]
            found = list(table.facts(interaction, reading, table.NOTHING))
            seen |= {what for what, _ in found}
            denied |= {what for what, allowed in found if not allowed}
    assert len(seen) > 25
    assert seen == denied


def test_a_table_claims_nothing_that_its_vendor_refused(vendor: Vendor, tally: Tally) -> None:
    problems = []
    for interaction, reading in recorded(vendor):
        if interaction.status not in (400, 404, 422):
            continue
        table = TABLES[interaction.backend]
        assert reading.error is not None
        found = table.refused(interaction, reading.error, table.rules(interaction))
        if found is None:
            problems.append(f"{interaction.label}: nobody has said yet what {reading.error} is about")
            continue
        what, left_out = found
        tally.add("held against the tables", f"{interaction.backend} refused: {what}")
        problems += [] if left_out else [f"{interaction.label} {interaction.model}: {what}"]
    assert not problems, "\n".join(problems)


def test_what_a_vendor_took_is_planned_without_a_report(vendor: Vendor, replay_server: Any) -> None:
    found: dict[tuple[str, str], str] = {}
    for name in cassettes.names(vendor.backends):
        conversation = Conversation(vendor, name, replay_server)
        for interaction in conversation.interactions:
            if interaction.other or interaction.status != 200:
                continue
            for subject, told in reports(conversation, interaction):
                found[f"{interaction.cassette}[{interaction.number}]", subject] = told
        conversation.close()
    mine = {key for key in REPORTED if key[0].partition("/")[0] in vendor.backends}
    assert {key: told for key, told in found.items() if key not in REPORTED} == {}
    assert mine - found.keys() == set()


def reports(conversation: Conversation, interaction: Interaction) -> Iterator[tuple[str, str]]:
    """Yield subject and reason of all that is dropped, changed or refused of a recorded request."""
    try:
        request = conversation.translated(interaction).request
        if not isinstance(request, EmbedRequest):
            plan = conversation.backend(interaction).plan(request, stream=interaction.streams)
            yield from ((warning.subject, str(warning)) for warning in plan.warnings if warning.kind != "note")
    except NotYet:
        return
    except errors.GenkitError as error:
        yield "the whole", str(error)


def test_embeddings_are_declared_of_every_model_that_gave_some(vendor: Vendor) -> None:
    models = {
        (interaction.backend, interaction.model): vendor.backend(interaction)
        for interaction, _ in recorded(vendor)
        if interaction.api == "embeddings" and interaction.status == 200
    }
    assert models
    assert [key for key, backend in models.items() if not backend.features(key[1]).embeddings] == []


# Names that tell nothing of a model, or whose model is not the vendor's; models for vectors have no rules.
NAMELESS = {
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
    "muse-spark-1.1",
    "openllmetry-testing",
}


def test_every_recorded_model_has_a_row(vendor: Vendor) -> None:
    models = {
        interaction.model: rules[0] if isinstance(rules, tuple) else rules
        for interaction, _ in recorded(vendor)
        if interaction.status == 200 and "embed" not in interaction.model and interaction.api != "embeddings"
        for rules in [TABLES[interaction.backend].rules(interaction)]
    }
    assert len(models) > 8
    assert {model for model, family in models.items() if not family.pattern} <= NAMELESS
