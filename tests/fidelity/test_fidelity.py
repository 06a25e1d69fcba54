"""Nothing is lost in silence: every case at every backend is on the wire, or reported; and the page says so."""

from __future__ import annotations

from functools import cache
from typing import get_args

import pytest

from genkit.backends import Backend
from tests.fidelity.cases import GROUPS, Case
from tests.fidelity.page import PAGE, TARGETS, Target, Verdict, judge, page

CASES = [pytest.param(case, id=case.name) for cases in GROUPS.values() for case in cases]


@cache
def backend(target: Target) -> Backend:
    return target.make()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_is_sent_or_reported(case: Case, target: Target) -> None:
    assert judge(case, target, backend(target)).verdict in get_args(Verdict)


def test_the_page_says_what_the_code_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.fidelity.page"
