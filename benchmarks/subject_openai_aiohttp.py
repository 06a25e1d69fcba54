"""The vendor's SDK on the async engine it offers as an option; needs its extra `openai[aiohttp]`."""

from __future__ import annotations

from functools import cached_property

from openai import AsyncOpenAI, DefaultAioHttpClient

from . import subject_openai
from .subjects import KEY


class Client(subject_openai.Client):
    """`AsyncOpenAI` with `DefaultAioHttpClient`."""

    @cached_property
    def _async(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self._base_url, api_key=KEY, http_client=DefaultAioHttpClient())
