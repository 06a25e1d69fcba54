"""OpenAI's wire: OpenAI itself, Azure, and every service and server that speaks the same.

Two interfaces lead to the same models. `api="auto"` takes Responses for OpenAI's own models at OpenAI or on Azure's v1
route, except where a request needs what only Chat Completions has (stop texts, a seed, penalties, several answers,
sound); everything else speaks Chat Completions. `Response.api` says which it was.

Vendor-only options go into `extra={"openai": {...}}`, under the name of the backend ("groq", "ollama", ...); Azure
takes what stands under "openai" too. They are merged last into the body: tools are added to the request's own,
objects are merged key by key, everything else is replaced.

Tokens are counted by a route of Responses, for requests that go through Chat, too: the count is what Responses would
bill, and what only Chat can say (sound, say) is refused. Azure has no such route, nor do compatible services.

Keys and addresses come from the constructor or from the environment, and are looked up at the first call. At another
`base_url` than OpenAI's a key is not demanded; OPENAI_API_KEY is sent where it is set, as the vendor's SDK does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

from pydantic import SecretStr
from typing_extensions import override

from ...errors import GenkitError, InvalidRequest
from ...media import by_url, inline_bytes, policy_of
from ...transport import MAX_BYTES, HttpRequest, Transport
from ...types import Audio, Embeddings, EmbedRequest, Features, FetchPolicy, Image, Media, Request, Response, Timeouts
from .. import batches, files
from ..options import check_options
from ..services import Service
from ..wire import Decoder, Exchange, WireBackend, WireRequest
from . import chat, embeddings, failures, models, responses
from .adopted import say_what_stays
from .connection import Connection, Credential, Place
from .messages import takes_no_url

if TYPE_CHECKING:
    import os
    import ssl

__all__ = ["OpenAI"]

JSON = dict[str, Any]
Api = Literal["auto", "chat", "responses"]

_CHAT_ONLY = frozenset({"stop", "seed", "presence_penalty", "frequency_penalty"})
_CHAT_EXTRA = _CHAT_ONLY | frozenset(
    {
        "n",
        "logprobs",
        "max_tokens",
        "logit_bias",
        "functions",
        "function_call",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
    }
    | {"response_format", "verbosity", "reasoning_effort", "messages", "max_completion_tokens"}
)
# For images and files together; developers.openai.com/api/docs/guides/images-vision and .../pdf-files, read 2026-11-25.
_INLINE_BYTES = 50_000_000
_CACHES = frozenset({"cache_prompt"})
_RESPONSES_SETTINGS = frozenset(
    {"temperature", "top_p", "max_tokens", "logprobs", "top_logprobs", "reasoning", "tool_choice"}
    | {"parallel_tool_calls", "cache_prompt"}
)


class OpenAI(WireBackend):
    """OpenAI, Azure, and compatible services.

    Args:
        name: Name of a row in `services`, or any other name for a server at `base_url`.
        api_key: The key, or a function that returns the current one. Else the service's variable is read.
        base_url: Another address than the service's own.
        client: An official `OpenAI`, `AsyncOpenAI`, `AzureOpenAI` or `AsyncAzureOpenAI` client: its address, key,
            organization, project, default headers and query are used; nothing is sent through it. One with an HTTP
            client of its own is refused unless `http_client`, `proxy` or `ca` says how to send, and a time limit or
            number of retries other than the usual is warned about.
        http_client: A client of `httpx` or `httpx2` to send through.
        proxy: A proxy for every host; see `Transport`.
        ca: Certificates to trust; see `Transport`.
        api: Which interface to use.
        credential: For Azure without a key: an object with `get_token(scope)`, as azure-identity has them.
        organization: OpenAI's organization id.
        project: OpenAI's project id.
        headers: Further headers of every request.
        fetch: What may be fetched for a service that takes no URLs; False for nothing.
        families: Rows of the caller's own before the table of model families; see `models`.
        max_bytes: Longest answer to read, in bytes.

    Raises:
        ConfigError: If an argument cannot be used. A missing key is `MissingCredential` at the first call.
    """

    def __init__(
        self,
        *,
        name: str = "openai",
        api_key: str | SecretStr | Callable[[], str] | None = None,
        base_url: str | None = None,
        client: object | None = None,
        http_client: object | None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
        api: Api = "auto",
        credential: Credential | None = None,
        organization: str | None = None,
        project: str | None = None,
        headers: Mapping[str, str] | None = None,
        fetch: FetchPolicy | bool = True,
        families: Iterable[Mapping[str, Any]] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        identity: dict[str, Any] = {
            "api_key": api_key,
            "base_url": base_url,
            "credential": credential,
            "organization": organization,
            "project": project,
            "headers": headers,
        }
        way: dict[str, Any] = {"proxy": proxy, "ca": ca, "max_bytes": max_bytes}
        check_options({**identity, **way, "api": api}, backend=name)
        self.name = name
        self.transport = Transport(**way, http_client=http_client)
        self.fetch = policy_of(fetch, backend=name)
        self._api = api
        self._families = models.Families(families, backend=name)
        self._connection = Connection(name, client=client, **identity)
        if client is not None:
            say_what_stays(client, name=name, own_way=any(way is not None for way in (proxy, ca, http_client)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, api={self._api!r})"

    @override
    def features(self, model: str) -> Features:
        place = self._connection.place(strict=False)
        service = place.service
        family = self._families.of(model, service)
        embeds = "embedding" in model.lower()
        if embeds:
            return Features(settings=frozenset({"timeout"}), embeddings=True)
        through = self._only(family, place)
        settings, media = service.settings, service.media & family.media
        if through == "responses":
            settings, media = _RESPONSES_SETTINGS - (_CACHES - service.settings), media - {"audio"}
        if family.reasons and "none" not in family.efforts:
            settings -= models.SAMPLING
        if not family.stop:
            settings -= {"stop"}
        if not family.efforts:
            settings -= {"reasoning"}
        return Features(
            settings=settings | {"timeout"},
            tools=True,
            output_schema=service.schemas,
            thinking=service.reasoning != "none" and bool(family.reasons or family.efforts),
            media=media,
            embeddings=service.rules != "openai",
            count_tokens=self._counts(family, place),
        )

    # ------------------------------------------------------------ translation

    @override
    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        place = self._connection.place(strict=False)
        if place.home:
            self._check_size(request)
        api = self._chosen(request, place)
        encode = responses.encode if api == "responses" else chat.encode
        try:
            family = self._families.of(request.model, place.service)
            return encode(request, place.service, origin=self._origin(place, api), stream=stream, family=family)
        except GenkitError as error:
            error.backend = error.backend or self.name
            raise

    def _check_size(self, request: Request) -> None:
        size = inline_bytes(request.messages)
        if size > _INLINE_BYTES:
            raise InvalidRequest(
                f"the media of this request have {size:,} bytes, and {self.name} takes {_INLINE_BYTES:,} in a request: "
                "upload them with llm.upload(part), which gives parts with a file_id, or send fewer",
                backend=self.name,
            )

    @override
    def wanted(self, request: Request) -> list[Media]:
        if not by_url(request.messages):
            return []
        # The Responses interface takes URLs for all that it reads.
        place = self._connection.place(strict=False)
        return super().wanted(request) if self._chosen(request, place) == "chat" else []

    @override
    def fetches(self, part: Media, model: str) -> bool:
        service = self._connection.place(strict=False).service
        return takes_no_url(part, service, self._families.of(model, service))

    @override
    def decode(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        decode = responses.decode if wire.api == "responses" else chat.decode
        return decode(wire, data, exchange, backend=self.name)

    @override
    def decoder(self, wire: WireRequest) -> Decoder:
        if wire.api == "responses":
            return responses.Decoder(wire, backend=self.name)
        place = self._connection.place(strict=False)
        return chat.Decoder(wire, backend=self.name, terminated=place.home or place.service.name == "azure")

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        return failures.failure(status, headers, body, backend=self.name)

    @override
    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return failures.request_id(headers)

    def _chosen(self, request: Request, place: Place) -> str:
        """Return the interface that a request goes through."""
        only = self._only(self._families.of(request.model, place.service), place)
        return only or ("chat" if _needs_chat(request, place.service) else "responses")

    def _only(self, family: models.Family, place: Place) -> str | None:
        """Return the interface that all requests for a model go through, or None where each has its own."""
        if self._api != "auto":
            return self._api
        if place.service.api != "auto":
            return place.service.api
        if len(family.apis) == 1:
            return next(iter(family.apis))
        return None if place.home else "chat"

    def _origin(self, place: Place, api: str) -> str:
        """Return the mark of native data; another address is another origin, since ids and signatures hold at one."""
        known = place.service.rules == "openai" if place.home else place.base == place.service.base_url
        if known:
            return f"{self.name}/{api}"
        return f"{self.name}/{api}@{place.base}"

    # ------------------------------------------------------------ sending

    @override
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        place = self._connection.place()
        return self._http(wire, content, place, self._connection.headers(place))

    @override
    def may_wait(self) -> bool:
        return self._connection.may_wait()

    @override
    def renews(self, request: HttpRequest, error: GenkitError) -> bool:
        return error.status == 401 and self._connection.renews(request)

    @override
    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        place = self._connection.place()
        return self._http(wire, content, place, await self._connection.aheaders(place))

    def _http(self, wire: WireRequest, content: bytes, place: Place, headers: dict[str, str]) -> HttpRequest:
        url = self._connection.url(place, wire.path, model=wire.model)
        return HttpRequest(url=url, headers={**headers, **wire.headers}, content=content)

    @override
    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        place = self._connection.place(strict=False)
        url = self._connection.url(place, wire.path, model=wire.model)
        return url, {**self._connection.placeholders(place), **wire.headers}

    @override
    def upload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:
        place = self._connection.place()
        if not place.home:
            return super().upload(part, model, timeouts=timeouts, retries=retries)
        azure = place.service.rules == "deployment"
        # Azure has no "user_data" yet; files for answers go there under "assistants".
        purpose = "assistants" if azure else "vision" if isinstance(part, Image) else "user_data"
        query = dict(parse_qsl(place.query.removeprefix("?")))
        where = files.Service(
            self.name, place.base, self._connection.headers(place), query, self.transport, timeouts, retries
        )
        uploaded = files.upload_openai(part, where, purpose=purpose)
        return uploaded.model_copy(update={"origin": self._origin(place, "files"), "native": None})

    @override
    def probe(self) -> WireRequest:
        # Azure's data plane and every compatible service list their models, too.
        return WireRequest(path="/models", body={}, model="", api="models", origin="", method="GET")

    @override
    def probe_answers(self) -> Mapping[int, Literal["ready", "configured"]]:
        # A server that no row describes may speak of one model only.
        place = self._connection.place(strict=False)
        return {404: "configured", 405: "configured"} if place.service.name == "openai" and not place.home else {}

    # ------------------------------------------------------------ counting

    @override
    def count_tokens(self, request: Request) -> int:
        return self._counted(*self.exchange(self._counting(request)))

    @override
    async def acount_tokens(self, request: Request) -> int:
        return self._counted(*await self.aexchange(self._counting(request)))

    def _counts(self, family: models.Family, place: Place) -> bool:
        """Return whether there is a route that counts: one of Responses, which any model must be known to."""
        through = self._only(family, place) == "responses"
        return place.service.counts and "responses" in family.apis and (place.home or through)

    def _counting(self, request: Request) -> WireRequest:
        place = self._connection.place(strict=False)
        family = self._families.of(request.model, place.service)
        if not self._counts(family, place):
            raise self.lacks("token counting", request.model)
        return responses.encode_count(request, place.service, origin=self._origin(place, "responses"), family=family)

    def _counted(self, data: JSON, exchange: Exchange) -> int:
        return responses.decode_count(data, backend=self.name, request_id=self.request_id(exchange.headers))

    # ------------------------------------------------------------ embeddings

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        wires = embeddings.encode(request, self._connection.place(strict=False).service)
        return self.measured(request, embeddings.join(batches.embedded(self, wires, self._vectors)))

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        wires = embeddings.encode(request, self._connection.place(strict=False).service)
        # A request holds two thousand texts: the next one may as well wait.
        found = await batches.aembedded(self, wires, self._vectors, at_once=1)
        return self.measured(request, embeddings.join(found))

    def _vectors(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Embeddings:
        return embeddings.decode(wire, data, exchange, backend=self.name)


def _needs_chat(request: Request, service: Service) -> bool:
    """Return whether a request holds what only Chat Completions can express."""
    settings = request.settings
    if _CHAT_ONLY & settings.given() or (settings.n or 1) > 1:
        return True
    if any(isinstance(part, Audio) for message in request.messages for part in message.parts):
        return True
    extra = chat.merged_extra(request, service)
    return not _CHAT_EXTRA.isdisjoint(extra)
