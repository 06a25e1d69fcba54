"""Recorded traffic through genkit: answers, bodies sent, streams, faults, and answers sent back.

By default every recording runs plain, sync and async, and the short streams run in pieces of five bytes; with
GENKIT_LLM_WIRE_ALL=1 every stream does, and is cut at every frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from genkit import errors
from genkit.types import EmbedRequest, Request

from . import cassettes, checks, replies
from .cassettes import Interaction
from .conftest import Tally
from .exchanges import Conversation
from .reader import Reading
from .requests import NotYet
from .vendor import Vendor
from .vendors import VENDORS

pytestmark = pytest.mark.skipif(cassettes.ABSENT is not None, reason=str(cassettes.ABSENT))

EVERYTHING = os.environ.get("GENKIT_LLM_WIRE_ALL") == "1"
SPLIT_BYTES = 10**9 if EVERYTHING else 7_000


CASSETTES = [pytest.param((vendor, name), id=name) for vendor in VENDORS for name in cassettes.names(vendor.backends)]


@pytest.fixture(scope="module", params=CASSETTES)
def conversation(request: pytest.FixtureRequest, replay_server: Any) -> Iterator[Conversation]:
    """Each cassette in turn."""
    vendor, name = request.param
    conversation = Conversation(vendor, name, replay_server)
    yield conversation
    conversation.close()


def reading_of(vendor: Vendor, interaction: Interaction) -> Reading:
    return vendor.read(interaction, interaction.content)


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def streams(conversation: Conversation) -> list[Interaction]:
    """Return the interactions that were answered by a whole stream."""
    found = [interaction for interaction, _ in conversation.replayable() if interaction.is_stream]
    readings = [(interaction, reading_of(conversation.vendor, interaction)) for interaction in found]
    return [interaction for interaction, reading in readings if reading.whole and reading.error is None]


def sent(conversation: Conversation) -> list[Interaction]:
    """Return the interactions that reached the server; that the others rightly did not is another test's matter."""
    found = [interaction for interaction, _ in conversation.replayable()]
    return [interaction for interaction in found if not conversation.outcome(interaction).refused]


def named(interaction: Interaction, problems: list[str], what: str = "") -> list[str]:
    return [f"{interaction.label}{what}: {problem}" for problem in problems]


def unlisted(
    conversation: Conversation, tally: Tally, what: str, interaction: Interaction, problems: list[str]
) -> list[str]:
    """Return the problems that are not listed with a reason; a listed one that is gone is a problem, too."""
    place = f"{interaction.cassette}[{interaction.number}]"
    reason = conversation.vendor.listed.get((what, place))
    if reason is None:
        return named(interaction, problems)
    tally.add("listed differences", f"{what} {place}: {reason}")
    return [] if problems else named(interaction, [f"{what} is listed as different, and differs no more"])


def test_every_recorded_request_is_known_by_what_it_is(conversation: Conversation, tally: Tally) -> None:
    for interaction in conversation.interactions:
        if interaction.other:
            tally.add("out of scope here, by interface", f"{interaction.backend} {interaction.api}")
            continue
        try:
            made = conversation.translated(interaction)
        except NotYet as missing:
            tally.add("not yet", f"{interaction.backend} {missing}")
            continue
        assert isinstance(made.request, EmbedRequest if interaction.api == "embeddings" else Request)
        for name in made.unworded:
            tally.add("sent through extra", f"{interaction.backend} {interaction.api}: {name}")


def test_an_answer_is_what_its_bytes_say(conversation: Conversation, tally: Tally) -> None:
    problems = []
    for interaction, _ in conversation.replayable():
        found = checks.answer(
            conversation.vendor,
            interaction,
            reading_of(conversation.vendor, interaction),
            conversation.outcome(interaction),
        )
        form = "stream" if interaction.is_stream else "error" if interaction.status >= 400 else "plain"
        if conversation.outcome(interaction).refused:
            form = "refused here as by the vendor"
        tally.add("answers", f"{interaction.backend} {interaction.api} {form}: {'differ' if found else 'passed'}")
        problems += named(interaction, found)
    report(problems)


def test_an_async_answer_is_what_its_bytes_say(conversation: Conversation) -> None:
    asked = [interaction for interaction, _ in conversation.replayable()]
    outcomes = conversation.acalls((interaction, {}) for interaction in asked)
    problems = []
    for interaction, outcome in zip(asked, outcomes, strict=True):
        problems += named(
            interaction,
            checks.answer(conversation.vendor, interaction, reading_of(conversation.vendor, interaction), outcome),
        )
    report(problems)


def test_the_body_sent_is_the_body_recorded(conversation: Conversation, tally: Tally) -> None:
    problems = []
    for interaction in sent(conversation):
        outcome = conversation.outcome(interaction)
        if outcome.sent is None:
            problems += named(interaction, [f"nothing was sent: {outcome.error!r}"])
            continue
        warnings = conversation.warnings(interaction)
        reasons, left = conversation.vendor.compare(interaction.asked, outcome.sent, warnings)
        for reason in reasons:
            tally.add("bodies: accepted differences", f"{interaction.backend} {reason}")
        how = "differ" if left else "as recorded, up to accepted differences" if reasons else "as recorded"
        tally.add("bodies", f"{interaction.backend} {interaction.api}: {how}")
        problems += unlisted(conversation, tally, "body", interaction, left)
    report(problems)


def test_a_request_goes_to_the_vendors_route_with_its_credential(conversation: Conversation) -> None:
    problems = []
    for interaction in sent(conversation):
        outcome = conversation.outcome(interaction)
        key, route = conversation.vendor.credential[interaction.backend], conversation.vendor.route(interaction)
        if outcome.path != route:
            problems += named(interaction, [f"went to {outcome.path!r}, not {route!r}"])
        if not {key, "content-type"} <= outcome.headers:
            problems += named(interaction, [f"went with headers {sorted(outcome.headers)}"])
    report(problems)


def test_the_plan_of_a_request_is_what_was_sent(conversation: Conversation) -> None:
    problems = []
    for interaction in sent(conversation):
        request, outcome = conversation.translated(interaction).request, conversation.outcome(interaction)
        if not isinstance(request, Request) or interaction.counts:
            continue
        plan = conversation.backend(interaction).plan(request, stream=interaction.streams)
        if plan.body != outcome.sent or not plan.url.endswith(outcome.path):
            problems += named(interaction, [f"planned {plan.url} {plan.body}, sent {outcome.path} {outcome.sent}"])
        if {name.lower() for name in plan.headers} - outcome.headers:
            problems += named(interaction, [f"planned headers {sorted(plan.headers)}, sent {sorted(outcome.headers)}"])
    report(problems)


def test_the_events_of_a_stream_add_up_to_its_response(conversation: Conversation) -> None:
    problems = []
    for interaction in streams(conversation):
        outcome = conversation.outcome(interaction)
        problems += named(interaction, checks.stream(outcome.events))
    report(problems)


def test_a_stream_and_the_plain_answer_of_the_same_content_give_equal_responses(conversation: Conversation) -> None:
    problems = []
    for interaction in streams(conversation):
        reading, stream = reading_of(conversation.vendor, interaction), conversation.outcome(interaction).response
        plain = conversation.call(interaction, content=conversation.vendor.as_plain(interaction, reading), plain=True)
        assert stream is not None
        found = (
            [repr(plain.error)] if plain.response is None else conversation.vendor.unlike_plain(stream, plain.response)
        )
        problems += named(interaction, found)
    report(problems)


def test_the_same_stream_in_other_bytes_gives_the_same_events(conversation: Conversation) -> None:
    problems = []
    for interaction in [found for found in streams(conversation) if len(found.content) <= SPLIT_BYTES // 2]:
        for content in conversation.vendor.variants(interaction.content):
            outcome = conversation.call(interaction, content=content, split=997)
            problems += named(interaction, replies.unlike(outcome.events, conversation.outcome(interaction).events))
    report(problems)


def test_a_stream_in_pieces_of_five_bytes_gives_the_same_events(conversation: Conversation) -> None:
    problems = []
    short = [interaction for interaction in streams(conversation) if len(interaction.content) <= SPLIT_BYTES]
    for interaction in short:
        outcome = conversation.call(interaction, split=5)
        problems += named(
            interaction,
            checks.answer(conversation.vendor, interaction, reading_of(conversation.vendor, interaction), outcome),
        )
        problems += named(interaction, replies.unlike(outcome.events, conversation.outcome(interaction).events))
    report(problems)


def test_an_async_stream_in_pieces_of_five_bytes_gives_the_same_events(conversation: Conversation) -> None:
    short = [interaction for interaction in streams(conversation) if len(interaction.content) <= SPLIT_BYTES // 2]
    outcomes = conversation.acalls((interaction, {"split": 5}) for interaction in short)
    problems = []
    for interaction, outcome in zip(short, outcomes, strict=True):
        problems += named(interaction, replies.unlike(outcome.events, conversation.outcome(interaction).events))
    report(problems)


def places(frames: int) -> list[int]:
    """Return after how many frames to cut a stream."""
    if EVERYTHING and frames <= 100:
        return list(range(frames))
    return sorted({0, 1, frames // 2, frames - 2, frames - 1} & set(range(frames)))


def broken(vendor: Vendor, interaction: Interaction) -> Iterator[tuple[dict[str, Any], bool | None, str]]:
    """Yield the ways to break a stream: options for the call, whether the answer is whole all the same, and a name.

    None stands for either: the answer said why it ended, and then the connection was lost before the vendor's end.
    """
    frames = cassettes.replay_server().frames(interaction.content, interaction.kind)
    entire = vendor.read(interaction, interaction.content)
    for count in places(len(frames)):
        arrived = b"".join(frames[:count])
        reading = vendor.read(interaction, arrived)
        lost = reading.terminated or (None if reading.whole and not vendor.says_end else False)
        yield {"cut_after": count}, lost, f" connection lost after {count} of {len(frames)} frames"
        # One more answer may begin after all others have ended.
        if reading.whole and len(reading.choices) < len(entire.choices):
            continue
        yield {"content": arrived}, reading.whole, f" body ended after {count} of {len(frames)} frames"
    more = {"content": interaction.content + vendor.epilogue, "cut_after": len(frames)}
    yield more, entire.terminated or None, " connection lost after the terminator"


def test_a_broken_stream_is_an_error_that_holds_what_arrived(conversation: Conversation) -> None:
    problems = []
    for interaction in streams(conversation):
        for options, over, what in broken(conversation.vendor, interaction):
            outcome = conversation.call(interaction, **options)
            problems += named(
                interaction, checks.cut(reading_of(conversation.vendor, interaction), outcome, over=over), what
            )
    report(problems)


def test_a_broken_async_stream_is_an_error_that_holds_what_arrived(conversation: Conversation) -> None:
    ways = [
        (interaction, *way) for interaction in streams(conversation) for way in broken(conversation.vendor, interaction)
    ]
    outcomes = conversation.acalls((interaction, options) for interaction, options, _, _ in ways)
    problems = []
    for (interaction, _, over, what), outcome in zip(ways, outcomes, strict=True):
        problems += named(
            interaction, checks.cut(reading_of(conversation.vendor, interaction), outcome, over=over), what
        )
    report(problems)


def test_an_error_inside_a_stream_has_its_kind_and_holds_what_arrived(conversation: Conversation) -> None:
    problems = []
    for interaction in streams(conversation):
        frames = cassettes.replay_server().frames(interaction.content, interaction.kind)
        report_of_error, kind = conversation.vendor.breakdown(interaction)
        for count in (0, len(frames) // 2):
            outcome = conversation.call(interaction, content=b"".join([*frames[:count], report_of_error]))
            found = checks.broke_down(reading_of(conversation.vendor, interaction), outcome, kind)
            problems += named(interaction, found, f" error after {count} of {len(frames)} frames")
    report(problems)


def test_damage_to_the_frames_of_a_stream_is_an_error_that_holds_what_arrived(conversation: Conversation) -> None:
    problems = []
    for interaction in streams(conversation):
        for content, kind in conversation.vendor.damaged(interaction.content):
            outcome = conversation.call(interaction, content=content)
            found = checks.broke_down(reading_of(conversation.vendor, interaction), outcome, kind)
            problems += named(interaction, found)
    report(problems)


@pytest.mark.parametrize(("status", "kind"), [(429, errors.RateLimited), (503, errors.ServerError)])
def test_an_injected_failure_can_be_retried_and_the_answer_follows(
    conversation: Conversation, status: int, kind: type[errors.GenkitError]
) -> None:
    problems = []
    for interaction in sent(conversation)[:1]:
        failed = conversation.call(interaction, fail_first=[status], retry_after=2).error
        if not (type(failed) is kind and failed.retryable and failed.status == status and failed.retry_after == 2):
            problems += named(interaction, [f"{status} became {failed!r}"])
        problems += named(
            interaction,
            checks.answer(
                conversation.vendor,
                interaction,
                reading_of(conversation.vendor, interaction),
                conversation.again(interaction),
            ),
        )
    report(problems)


def test_retry_gets_past_injected_failures_to_the_answer(conversation: Conversation) -> None:
    problems = []
    for interaction in sent(conversation)[:1]:
        outcome = conversation.call(interaction, fail_first=[503, 429], retry_after=0, retries=2)
        problems += named(
            interaction,
            checks.answer(conversation.vendor, interaction, reading_of(conversation.vendor, interaction), outcome),
        )
        problems += named(interaction, checks.stream(outcome.events) if interaction in streams(conversation) else [])
    report(problems)


def test_an_answer_goes_back_as_it_came(conversation: Conversation, tally: Tally) -> None:
    problems = []
    for interaction, request in conversation.replayable():
        response = conversation.outcome(interaction).response
        if response is None or not isinstance(request, Request):
            continue
        turn = conversation.turn(interaction, request, response.message)
        reading = reading_of(conversation.vendor, interaction)
        found = conversation.vendor.unlike_answer(interaction, reading, turn)
        how = "differ" if found else "as they came"
        tally.add("answers sent back", f"{interaction.backend} {interaction.api}: {how}")
        problems += unlisted(conversation, tally, "sent back", interaction, found)
    report(problems)


def test_an_answer_goes_back_as_the_recorded_client_sent_it(conversation: Conversation, tally: Tally) -> None:
    problems = []
    asked = conversation.replayable()
    for place, (interaction, request) in enumerate(asked):
        response = conversation.outcome(interaction).response
        if response is None or not isinstance(request, Request):
            continue
        for later, _ in asked[place + 1 :]:
            sent = conversation.vendor.sent_back(interaction, later, reading_of(conversation.vendor, interaction))
            if sent is None:
                continue
            turn = conversation.turn(interaction, request, response.message)
            found = conversation.vendor.unlike_client(sent, turn)
            how = "not as" if found else "as"
            tally.add("answers sent back", f"{interaction.backend} {interaction.api}: {how} the recorded client did")
            problems += unlisted(conversation, tally, "client's turn", interaction, found)
    report(problems)
