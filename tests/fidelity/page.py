"""Makes docs/reference/fidelity.md out of what the backends do: `python -m tests.fidelity.page`.

Every case goes through `LLM.plan` of every backend: the very request that would be sent, compared with what was asked.
"""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from genkit import LLM
from genkit.backends import Backend, load
from genkit.backends.base import CHECK
from genkit.errors import GenkitError, UnknownSetting
from genkit.types import CallWarning, Plan, Request
from tests.fidelity.cases import GROUPS, Case

__all__ = ["PAGE", "TARGETS", "Outcome", "Target", "Verdict", "judge", "page"]

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "fidelity.md"

Verdict = Literal["exact", "fetched", "converted", "reported", "error"]
_HELD = "<the bytes of "
_SIGNS: dict[Verdict, str] = {"exact": "✓", "fetched": "↓", "converted": "≈", "reported": "!", "error": "✗"}


@dataclass(frozen=True)
class Target:
    """One column: a backend with one of its models."""

    title: str
    backend: str
    model: str
    options: tuple[tuple[str, str], ...] = ()

    def make(self) -> Backend:
        """Return the backend, without a credential."""
        return load(self.backend, **dict(self.options))

    @property
    def asked(self) -> str:
        """The model that is asked: for a model on this machine a tiny one, made on the spot."""
        return _checkpoint() if self.backend == "hf" else self.model


TARGETS = (
    Target("OpenAI, Responses", "openai", "gpt-4.1", (("api", "responses"),)),
    Target("OpenAI, Chat", "openai", "gpt-4.1", (("api", "chat"),)),
    Target("OpenAI, a reasoning model", "openai", "gpt-5.6"),
    Target("Azure", "azure", "gpt-4.1"),
    Target("Ollama, a compatible server", "ollama", "qwen3"),
    Target("Gemini API, 2.5", "google", "gemini-2.5-flash"),
    Target("Gemini API, 3", "google", "gemini-3-flash-preview"),
    Target("Vertex AI", "vertex", "gemini-2.5-pro"),
    Target("Bedrock, Nova", "bedrock", "amazon.nova-lite-v1:0"),
    Target("Bedrock, Claude", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    Target("a model on this machine, by its chat template", "hf", "/path/to/checkpoint"),
    Target("the mock", "mock", "mock"),
)


# As the templates of models that call tools have it.
_TOOLS = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
_CALLS = (
    "{% for call in message['tool_calls'] or [] %}<tool_call>{{ call['function'] | tojson }}</tool_call>{% endfor %}"
)


@cache
def _checkpoint() -> str:
    from tests.tiny import CHATML, checkpoint

    directory = tempfile.mkdtemp(prefix="genkit-fidelity-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return str(checkpoint(directory, template=_TOOLS + CHATML.replace("<|im_end|>", _CALLS + "<|im_end|>", 1)))


class SilentLoss(AssertionError):
    """Something asked for is neither on the wire nor reported."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and what genkit says about it."""

    verdict: Verdict
    messages: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The verdict as the page says it in words."""
        return "yes" if self.verdict == "exact" else self.verdict

    @property
    def sign(self) -> str:
        """The verdict as the tables show it."""
        return _SIGNS[self.verdict]


def judge(case: Case, target: Target, backend: Backend) -> Outcome:
    """Return what becomes of a case.

    Raises:
        SilentLoss: If it is neither in the request nor reported.
    """
    try:
        plan = _plan(backend, case.request(target.asked))
    except GenkitError as error:
        return Outcome("error", (error.message,))
    told = _told(plan, _quiet_plan(backend, case.request(target.asked, control=True)))
    missing = _missing(case, plan)
    if told:
        refused = any(warning.kind == "error" for warning in told)
        if not refused and (lost := [mark for mark in missing if mark not in case.excused]):
            raise SilentLoss(f"{case.name!r} at {target.title}: {lost} not in the body; said is only {told}")
        kinds = [warning.kind for warning in told]
        verdict: Verdict = "error" if "error" in kinds else "reported" if "dropped" in kinds else "converted"
        return Outcome(verdict, tuple(dict.fromkeys(warning.message for warning in told)))
    if missing:
        raise SilentLoss(
            f"{case.name!r} at {target.title}: {missing} not in the body, and nothing is reported: {plan.body}"
        )
    _check_expressed(case, target, plan, backend)
    return Outcome("fetched" if _HELD in json.dumps(plan.body) else "exact")


def _plan(backend: Backend, request: Request) -> Plan:
    return backend.plan(request.model_copy(update={"on_unsupported": CHECK}))


def _quiet_plan(backend: Backend, request: Request) -> Plan | None:
    try:
        return _plan(backend, request)
    except GenkitError:
        return None


def _told(plan: Plan, control: Plan | None) -> list[CallWarning]:
    """Return what is reported because of the case, not of what surrounds it: settings have a control without them."""
    known = set(control.warnings) if control is not None and control.body != plan.body else set()
    return [warning for warning in plan.warnings if warning not in known]


def _missing(case: Case, plan: Plan) -> list[str]:
    """Return the marks that are not in the body, or not in their order."""
    body, at, missing = json.dumps(plan.body, ensure_ascii=False), 0, []
    for mark in case.marks:
        found = body.find(mark, at)
        if found < 0:
            missing.append(mark)
        else:
            at = found + len(mark)
    return missing + [mark for mark in case.anywhere if mark not in body]


# Who caches prompts without being asked; the mock has no cost to save.
_CACHES = frozenset({"openai", "azure", "google", "vertex", "mock"})


def _check_expressed(case: Case, target: Target, plan: Plan, backend: Backend) -> None:
    """Check that the request is another one than without what is asked, or that it is honoured without a word."""
    if not case.compared:
        return
    control = _plan(backend, case.request(target.asked, control=True))
    if (control.body, control.url) != (plan.body, plan.url):
        return
    silent = case.implicit in backend.features(target.asked).settings
    if not silent or (case.implicit == "cache_prompt" and target.backend not in _CACHES):
        raise SilentLoss(
            f"{case.name!r} at {target.title}: the request is the same without it, and nothing is reported"
        )


# ---------------------------------------------------------------- the page

_HEAD = """---
hide: [toc]
---

# Fidelity: what each backend can say

What becomes of everything that can be asked, at every backend. This page is made by `python -m tests.fidelity.page` out
of the requests that `LLM.plan` shows. A test fails when it is not what the code does, or when something is neither sent
nor reported.

| sign | means |
|---|---|
| ✓ | yes: sent as asked |
| ↓ | fetched: genkit fetches the URL, and sends the bytes ([how, and from where](../how-to/images-and-files.md)) |
| ≈ | converted: sent in another form, which says the same or nearly; a warning on the response says how |
| ! | reported: not sent; a warning on the response says so (`require={...}` or `on_unsupported="error"`: an error) |
| ✗ | error: refused before anything is sent, because the caller relies on it |
"""


def page() -> str:
    """Return the whole page."""
    backends = [(target, target.make()) for target in TARGETS]
    return "\n".join(
        [_HEAD, *_key(), *(line for name, cases in GROUPS.items() for line in _group(name, cases, backends)), *_field()]
    )


def _key() -> Iterator[str]:
    yield "| column | backend | model |"
    yield "|---|---|---|"
    for at, target in enumerate(TARGETS):
        yield f"| {_letter(at)} | {target.title} | `{target.backend}:{target.model}` |"
    yield ""


def _letter(at: int) -> str:
    return chr(ord("A") + at)


def _group(name: str, cases: list[Case], backends: list[tuple[Target, Backend]]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"| | {' | '.join(_letter(at) for at in range(len(backends)))} |"
    yield f"|---|{'---|' * len(backends)}"
    notes: dict[str, int] = {}
    for case in cases:
        cells = []
        for target, backend in backends:
            outcome = judge(case, target, backend)
            numbers = sorted(notes.setdefault(_plain(message), len(notes) + 1) for message in outcome.messages)
            cells.append(f"{outcome.sign} <sup>{', '.join(map(str, numbers))}</sup>" if numbers else outcome.sign)
        yield f"| {case.name} | {' | '.join(cells)} |"
    yield ""
    yield from (f"{number}. {text}" for text, number in notes.items())
    yield ""


def _plain(message: str) -> str:
    """Return a report as text of the page: Markdown must not read it."""
    message = re.sub(r" \((?:of )?(?:model )?'[^']*'\)", "", message)
    return message.replace("|", "/").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


# Requests to Bedrock's amazon.nova-lite-v1:0 through other libraries, the outgoing body captured.
_OTHERS = """## Beside other libraries

The same six requests to `amazon.nova-lite-v1:0` on Bedrock, the outgoing body captured. The others were measured in
November 2026: LiteLLM 1.109, any-llm 1.40, aisuite 0.2, pydantic-ai 2.68 `direct`, langchain-aws 1.9, Vercel AI SDK
7.0; "n/t" was not tried. The last column is made with this page.
"""
_FIELD: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "`seed=1`, which Converse does not have",
        "seed",
        ("raises", "dropped in silence", "n/t", "dropped in silence", "raises `TypeError`", "dropped, warning"),
    ),
    (
        "the typo `temprature=0`",
        "",
        (
            "sent to the model",
            "n/t",
            "n/t",
            "dropped in silence",
            "raises, or sent with a warning",
            "dropped in silence",
        ),
    ),
    (
        "a system message in mid-conversation",
        "system in mid-conversation",
        (
            "kept in place as text",
            "dropped in silence",
            "dropped in silence",
            "moved to the top",
            "moved to the top",
            "raises",
        ),
    ),
    (
        "a history of tools, no tools in the request",
        "a history of tools, none in the request",
        (
            "rewritten to text, log",
            "sent, AWS refuses",
            "n/t",
            "sent, AWS refuses",
            "rewritten to text, warning",
            "removed, warning",
        ),
    ),
    (
        "an empty tool result",
        "an empty result",
        ("placeholder", "sent, AWS refuses", "n/t", "sent, AWS refuses", "placeholder", "n/t"),
    ),
    (
        "a tool result that is a JSON array",
        "a result that is a JSON array",
        ("n/t", "sent, AWS refuses", "sent, AWS refuses", "two texts", "n/t", "text"),
    ),
)


def _field() -> Iterator[str]:
    """Yield what other libraries make of six requests, and what genkit does."""
    target = next(target for target in TARGETS if target.backend == "bedrock")
    backend, cases = target.make(), {case.name: case for group in GROUPS.values() for case in group}
    yield _OTHERS
    yield "| | LiteLLM | any-llm | aisuite | pydantic-ai | langchain-aws | Vercel | genkit |"
    yield "|---|---|---|---|---|---|---|---|"
    for title, name, others in _FIELD:
        ours = _typo(target) if not name else _in_words(judge(cases[name], target, backend))
        yield f"| {title} | {' | '.join(others)} | {ours} |"
    yield ""


def _typo(target: Target) -> str:
    options: Any = {"temprature": 0}
    try:
        LLM(f"{target.backend}:{target.model}", **options)
    except UnknownSetting as error:
        return f"raises: {_plain(error.message.partition(';')[0])}"
    raise SilentLoss("a misspelt setting passes")


def _in_words(outcome: Outcome) -> str:
    return ": ".join([outcome.word, *map(_plain, outcome.messages)])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
