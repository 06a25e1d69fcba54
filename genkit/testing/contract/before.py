"""What a backend says before anything is sent: what would go, and what would be lost of it."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from ...backends.base import Backend
from ...errors import GenkitError, Unsupported
from ...types import CallWarning, Message, Plan, Request
from .asking import MEDIA, PERSON, WEATHER, for_every_setting
from .base import Asks

__all__ = ["Foresight"]


class Foresight(Asks):
    """Plans show the request, and checks tell what calls would."""

    def planned(self, backend: Backend, request: Request, *, stream: bool = False) -> Plan:
        """Return the plan of a request that can be sent; skip where the backend has no plans to show."""
        try:
            return backend.plan(request, stream=stream)
        except Unsupported as error:
            if "has no wire requests to show" not in error.message:
                raise
            pytest.skip("this backend has no plans to show")

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_plan_shows_the_prompt(self, backend: Backend, stream: bool) -> None:
        plan = self.planned(backend, self.ask(), stream=stream)
        assert self.prompt in json.dumps(plan.body, ensure_ascii=False)
        assert plan.url
        assert plan.backend

    def test_a_plan_is_the_same_every_time(self, backend: Backend) -> None:
        assert self.planned(backend, self.ask()) == self.planned(backend, self.ask())

    def test_a_plan_survives_a_round_trip_through_json(self, backend: Backend) -> None:
        plan = self.planned(backend, self.ask())
        assert Plan.model_validate_json(plan.model_dump_json()) == plan

    @for_every_setting
    def test_a_check_tells_what_becomes_of_a_setting(self, backend: Backend, setting: str) -> None:
        self.compare(backend, self.sampled(backend, setting))

    @for_every_setting
    def test_a_check_tells_what_becomes_of_a_setting_that_the_caller_requires(
        self, backend: Backend, setting: str
    ) -> None:
        self.compare(backend, self.sampled(backend, setting, require=[setting]))

    @pytest.mark.parametrize("kind", sorted(MEDIA))
    def test_a_check_tells_what_becomes_of_media(self, backend: Backend, kind: str) -> None:
        part = MEDIA[kind]
        self.compare(backend, self.ask(messages=[Message.user(self.prompt, part)]))  # type: ignore[arg-type]  # a part

    def test_a_check_tells_what_becomes_of_tools(self, backend: Backend) -> None:
        self.compare(backend, self.ask("Weather in Oslo?", tools=(WEATHER,)))

    def test_a_check_tells_what_becomes_of_an_output_schema(self, backend: Backend) -> None:
        self.compare(backend, self.ask("Ada is 36.", output_schema=PERSON))

    def compare(self, backend: Backend, request: Request) -> None:
        """Hold a check against the call that it is about."""
        self.planned(backend, self.ask())
        try:
            found: tuple[CallWarning, ...] = backend.check(request)
            refused = any(warning.kind == "error" for warning in found)
        except GenkitError:
            found, refused = (), True
        if refused:
            with pytest.raises(Unsupported):
                backend.generate(request)
        else:
            assert losses(found) == losses(backend.generate(request).warnings)


def losses(warnings: Iterable[CallWarning]) -> list[tuple[str, str]]:
    """Return what was dropped and changed."""
    return sorted((warning.kind, warning.subject) for warning in warnings if warning.kind in ("dropped", "changed"))
