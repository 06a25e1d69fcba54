"""Tokens that expire, whosever they are: fetched once for all, used until they end, replaced in the background."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from genkit.backends.tokens import Tokens
from genkit.errors import AuthenticationFailed, GenkitError


class Fake(Tokens[str]):
    """Gives "t1", "t2"; lets the test say when, and at what time."""

    def __init__(self, *, lifetime: float = 1000.0) -> None:
        super().__init__(clock=lambda: self.now)
        self.now = 0.0
        self.lifetime = lifetime
        self.fails = False
        self.fetched = 0
        self.go = threading.Event()
        self.go.set()

    def fetch(self) -> tuple[str, float]:
        self.fetched += 1
        self.go.wait(10)
        if self.fails:
            raise RuntimeError("down")
        return f"t{self.fetched}", self.now + self.lifetime

    def failed(self, error: Exception) -> GenkitError:
        return AuthenticationFailed("none")

    def settled(self) -> None:
        """Wait for the fetch in the background."""
        until = time.monotonic() + 5
        while self._shared._running is not None:
            assert time.monotonic() < until
            time.sleep(0.001)


class Awaiting(Fake):
    """An identity of an event loop."""

    @property
    def awaits(self) -> bool:
        return True

    async def afetch(self) -> tuple[str, float]:
        self.fetched += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise RuntimeError("down")
        return f"t{self.fetched}", self.now + self.lifetime


def test_a_token_that_ends_soon_is_used_while_another_is_fetched() -> None:
    tokens = Fake()
    assert tokens.get() == "t1"
    tokens.now = 800
    tokens.go.clear()
    assert [tokens.get(), tokens.get(), asyncio.run(tokens.aget())] == ["t1"] * 3
    tokens.go.set()
    tokens.settled()
    assert (tokens.get(), tokens.fetched) == ("t2", 2)


def test_a_token_is_used_until_its_very_end_and_not_after() -> None:
    tokens = Fake()
    tokens.get()
    tokens.fails, tokens.now = True, 999.9
    assert tokens.get() == "t1"
    tokens.settled()
    tokens.now = 1000
    with pytest.raises(AuthenticationFailed) as caught:
        tokens.get()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_renewal_that_fails_is_tried_again_after_a_pause() -> None:
    tokens = Fake()
    tokens.get()
    tokens.fails, tokens.now = True, 800
    for _ in range(5):
        assert tokens.get() == "t1"
        tokens.settled()
    assert tokens.fetched == 2
    tokens.now += tokens.pause
    tokens.get()
    tokens.settled()
    assert tokens.fetched == 3


def test_a_failure_is_an_error_of_its_own_for_each_who_waits() -> None:
    tokens = Fake()
    tokens.fails = True
    tokens.go.clear()

    async def main() -> list[BaseException | str]:
        tasks = [asyncio.create_task(tokens.aget()) for _ in range(3)]
        await asyncio.sleep(0)
        tokens.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = asyncio.run(main())
    assert {type(error) for error in errors} == {AuthenticationFailed}
    assert len(set(map(id, errors))) == 3
    assert tokens.fetched == 1


def test_a_token_that_was_refused_is_given_up_once_for_all_who_sent_it() -> None:
    tokens = Fake()
    tokens.get()
    assert tokens.drop("t1")
    assert tokens.get() == "t2"
    assert tokens.drop("t1")
    assert tokens.get() == "t2"
    assert not tokens.drop("of somebody else")


def test_an_asynchronous_identity_is_asked_once_for_all_and_in_the_background() -> None:
    tokens = Awaiting()

    async def main() -> None:
        assert set(await asyncio.gather(*[tokens.aget() for _ in range(10)])) == {"t1"}
        tokens.now = 800
        assert await tokens.aget() == "t1"
        await asyncio.sleep(0.05)
        assert await tokens.aget() == "t2"

    asyncio.run(main())
    assert tokens.fetched == 2
    assert tokens.get() == "t2"


def test_who_stops_waiting_for_an_asynchronous_identity_leaves_it_to_the_others() -> None:
    tokens = Awaiting()

    async def main() -> str:
        waiting = [asyncio.create_task(tokens.aget()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        return await waiting[1]

    assert asyncio.run(main()) == "t1"
    assert tokens.fetched == 1


def test_a_failure_of_an_asynchronous_identity_is_typed() -> None:
    tokens = Awaiting()
    tokens.fails = True
    with pytest.raises(AuthenticationFailed):
        asyncio.run(tokens.aget())


def test_a_token_of_an_event_loop_serves_blocking_calls_until_it_ends() -> None:
    tokens = Awaiting()
    asyncio.run(tokens.aget())
    tokens.now = 900
    assert tokens.get() == "t1"
