"""Text that grows token by token."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from genkit.backends.huggingface.engine import Engine
from genkit.backends.huggingface.text import Detokeniser, StopFinder, TokenTexts

TEXTS = (
    "plain words, and more of them",
    "Grüße 東京 🙂🙃 naïve",
    "👩‍👩‍👧‍👦 family",
    "  leading and trailing  ",
    "\n\n\tdef f():\n        return 1\n",
    "",
)


def decode(engine: Engine, ids: Sequence[int]) -> str:
    return engine.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def pieces(engine: Engine, ids: Sequence[int]) -> list[str]:
    growing = Detokeniser(lambda window: decode(engine, window))
    return [*(growing.feed(token) for token in ids), growing.end()]


class TestDetokeniser:
    @pytest.mark.parametrize("text", TEXTS)
    def test_the_pieces_join_to_the_text(self, engine: Engine, text: str) -> None:
        ids = engine.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert "".join(pieces(engine, ids)) == text

    def test_a_character_of_several_tokens_comes_whole(self, engine: Engine) -> None:
        ids = engine.tokenizer("a𝄞b", add_special_tokens=False)["input_ids"]
        assert len(ids) > 3
        assert [piece for piece in pieces(engine, ids) if piece] == ["a", "𝄞", "b"]

    def test_any_sequence_of_tokens_gives_what_decoding_them_at_once_gives(self, engine: Engine) -> None:
        chance = random.Random(0)
        for _ in range(300):
            ids = [chance.randrange(len(engine.tokenizer)) for _ in range(chance.randrange(1, 20))]
            assert "".join(pieces(engine, ids)) == decode(engine, ids)

    def test_a_tokenizer_that_swallows_the_first_space_keeps_the_others(self) -> None:
        words = ["▁The", "▁cat", "s", "▁sat", "."]

        def sentencepiece(ids: Sequence[int]) -> str:
            return "".join(words[i] for i in ids).replace("▁", " ").removeprefix(" ")

        growing = Detokeniser(sentencepiece)
        assert [growing.feed(i) for i in range(5)] == ["The", " cat", "s", " sat", "."]


class TestTokenTexts:
    def test_a_token_shows_the_space_before_it(self) -> None:
        words = ["▁a", "▁cat", "s"]

        def sentencepiece(ids: Sequence[int]) -> str:
            return "".join(words[i] for i in ids).replace("▁", " ").removeprefix(" ")

        texts = TokenTexts(sentencepiece, [0])
        assert [texts[1], texts[2]] == [" cat", "s"]


def run(stops: Sequence[str], parts: Sequence[str]) -> tuple[str, str | None]:
    finder = StopFinder(stops)
    shown = "".join(finder.feed(part) for part in parts)
    return (shown if finder.found else shown + finder.end()), finder.found


class TestStopFinder:
    def test_the_text_ends_before_the_stop_string(self) -> None:
        assert run(["END"], ["one END two"]) == ("one ", "END")

    def test_a_stop_string_across_pieces_is_found(self) -> None:
        assert run(["END"], ["one E", "N", "D two"]) == ("one ", "END")

    def test_what_only_looked_like_a_stop_string_is_shown(self) -> None:
        assert run(["END"], ["one E", "N", "ough"]) == ("one ENough", None)

    def test_nothing_is_shown_that_may_begin_a_stop_string(self) -> None:
        finder = StopFinder(["\n\nUser"])
        assert [finder.feed(part) for part in ("a\n", "\nUs", "ing")] == ["a", "", "\n\nUsing"]

    def test_a_beginning_inside_a_beginning_is_found(self) -> None:
        assert run(["aab"], ["a", "a", "a", "b"]) == ("a", "aab")

    def test_the_end_gives_back_what_was_held(self) -> None:
        assert run(["END"], ["the EN"]) == ("the EN", None)

    def test_the_first_complete_stop_string_wins(self) -> None:
        assert run(["abcd", "bc"], ["abcd"]) == run(["abcd", "bc"], ["a", "b", "c", "d"]) == ("a", "bc")

    def test_the_cuts_between_pieces_make_no_difference(self) -> None:
        chance = random.Random(1)
        for _ in range(2000):
            text = "".join(chance.choice("ab") for _ in range(12))
            stops = ["".join(chance.choice("ab") for _ in range(chance.randrange(1, 5))) for _ in range(2)]
            cuts = sorted(chance.randrange(13) for _ in range(3))
            parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, 12], strict=True)]
            assert run(stops, parts) == run(stops, list(text))
