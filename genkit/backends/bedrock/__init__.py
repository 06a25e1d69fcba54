"""Amazon Bedrock: every model behind Converse and ConverseStream, embeddings by InvokeModel, and CountTokens.

The wire is genkit's own, so that it is truly asynchronous; who calls is AWS's affair, and found as its SDKs find it: an
API key, keys in the environment, profiles, SSO, roles, containers, instances, or a session or client of boto3.

Vendor-only options (`guardrailConfig`, `performanceConfig`, `serviceTier`, `requestMetadata`, ...) go into
`extra={"bedrock": {...}}`. They are merged last into the body: tools are added to the request's own, objects are merged
at every depth, everything else is replaced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr
from typing_extensions import override

from ...errors import BadResponse, GenkitError, Unsupported
from ...media import policy_of
from ...transport import MAX_BYTES, HttpRequest, Transport
from ...transport.eventstream import EventStreamParser
from ...transport.messages import target_of
from ...types import Embeddings, EmbedRequest, Features, FetchPolicy, Media, Request, Response, Timeouts
from .. import batches
from ..wire import Decoder, Exchange, WireBackend, WireRequest
from . import answers, embeddings, failures
from . import request as requests
from .connection import Connection, Identity, Place
from .models import Families, base_model
from .signing import Signer, signed_at

if TYPE_CHECKING:
    import os
    import ssl

__all__ = ["Bedrock"]

JSON = dict[str, Any]

_ORIGIN = "bedrock/converse"
_NOBODY = "none"
# AWS allows five minutes; a signature that is refused within less has another fault.
_SKEW_S = 60.0
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_HEADERS = {"content-type": "application/json", "user-agent": "genkit-llm"}


class Bedrock(WireBackend):
    """Amazon Bedrock.

    Args:
        name: Name of the backend.
        region: The region; else that of `client` or `session`, AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
        profile: A profile of AWS's configuration files.
        session: A session of boto3 or botocore.
        client: A boto3 client of bedrock-runtime: its endpoint, region and credentials are used; nothing is sent
            through it.
        api_key: A Bedrock API key, or a function that returns the current one; it may be asynchronous for the
            a-methods. Else AWS_BEARER_TOKEN_BEDROCK is read, before all other credentials.
        base_url: Another endpoint than the region's.
        http_client: A client of `httpx` or `httpx2` to send through.
        proxy: A proxy for every host; see `Transport`.
        ca: Certificates to trust; see `Transport`.
        headers: Further headers of every request.
        max_bytes: Longest answer to read, in bytes.
        fetch: What may be fetched, since AWS fetches nothing but from its own S3; False for nothing.
        families: What models can do, before the table of `models`: mappings with a `pattern` for model ids and any
            attributes of `models.Family`; `like` names the model that the others are taken from.

    Raises:
        ConfigError: If an argument cannot be used. A missing region or credential is an error of the first call.
    """

    def __init__(
        self,
        *,
        name: str = "bedrock",
        region: str | None = None,
        profile: str | None = None,
        session: object | None = None,
        client: object | None = None,
        api_key: str | SecretStr | Callable[[], str | Awaitable[str]] | None = None,
        base_url: str | None = None,
        http_client: object | None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        fetch: FetchPolicy | bool = True,
        families: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.name = name
        self.transport = Transport(proxy=proxy, ca=ca, http_client=http_client, max_bytes=max_bytes)
        self.fetch = policy_of(fetch, backend=name)
        self._families = Families(families, backend=name)
        self._signer = Signer()
        self._connection = Connection(
            name,
            region=region,
            profile=profile,
            session=session,
            client=client,
            api_key=api_key,
            base_url=base_url,
            headers=headers,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    @override
    def features(self, model: str) -> Features:
        if embeddings.maker(model) is not None:
            return Features(settings=frozenset({"timeout"}), embeddings=True)
        family = self._families.of(model)
        forced = family.tools and "any" in family.choices
        return Features(
            settings=requests.settings_of(family),
            tools=family.tools,
            output_schema=family.schema == "native" or (family.schema == "tool" and forced),
            thinking=family.thinks is not None,
            media=family.media,
            count_tokens=family.counts,
        )

    @override
    def fetches(self, part: Media, model: str) -> bool:
        kind: str = part.kind  # type: ignore[attr-defined]  # every subclass has a kind
        scheme = (part.url or "").partition(":")[0].lower()
        return scheme in ("http", "https", "data") and kind in self._families.of(model).media

    # ------------------------------------------------------------ translation

    @override
    def encode(self, request: Request, *, stream: bool) -> requests.ConverseRequest:
        try:
            family = self._families.of(request.model)
            return requests.encode(request, family, origin=_ORIGIN, stream=stream, backend=self.name)
        except GenkitError as error:
            error.backend = error.backend or self.name
            raise

    @override
    def decode(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        assert isinstance(wire, requests.ConverseRequest)
        return answers.decode(wire, data, exchange, backend=self.name)

    @override
    def decoder(self, wire: WireRequest) -> Decoder:
        assert isinstance(wire, requests.ConverseRequest)
        return answers.Decoder(wire, backend=self.name)

    @override
    def parser(self) -> EventStreamParser:
        return EventStreamParser()

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        return failures.failure(status, headers, body, backend=self.name)

    @override
    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, http: HttpRequest) -> GenkitError:
        error = super().refusal(status, headers, body, http)
        return self._skewed(error, headers, http) if failures.is_skew(error) else error

    def _skewed(self, error: GenkitError, headers: Mapping[str, str], http: HttpRequest) -> GenkitError:
        """Set the clock by the far end's, if that explains the error: then the same request works now."""
        theirs, signed = failures.server_time(headers), signed_at(http.headers)
        if theirs is None or signed is None or abs(theirs - signed) < _SKEW_S:
            return error
        ahead = theirs - self._signer.clock()
        self._signer.offset = ahead
        side = "behind" if ahead > 0 else "ahead of"
        return failures.ClockSkew(
            f"{error.message} (this machine's clock is {abs(ahead):.0f} s {side} AWS's; further requests allow for "
            "that, but set the clock)",
            backend=self.name,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
            sent=True,
        )

    @override
    def request_id(self, headers: Mapping[str, str]) -> str | None:
        return failures.request_id(headers)

    # ------------------------------------------------------------ sending

    @override
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        place = self._connection.place(wire.model)
        identity = "" if self._connection.authorized() else self._connection.identity()
        return self._http(wire, content, place, identity)

    @override
    def may_wait(self) -> bool:
        return self._connection.may_wait()

    @override
    def renews(self, request: HttpRequest, error: GenkitError) -> bool:
        return self._connection.renews(error.code)

    @override
    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        place = await self._connection.aplace(wire.model)
        identity = "" if self._connection.authorized() else await self._connection.aidentity()
        return self._http(wire, content, place, identity)

    def _http(self, wire: WireRequest, content: bytes, place: Place, identity: Identity) -> HttpRequest:
        url = f"{place.base}{wire.path}"
        self._connection.watch(place)
        headers = {**_HEADERS, **self._connection.headers, **wire.headers}
        if isinstance(identity, str):
            if identity:
                headers["authorization"] = f"Bearer {identity}"
        else:
            target = target_of(url)
            host = headers.get("host", target.where)
            headers |= self._signer.sign(
                identity, place.region, host=host, path=target.path, content=content, headers=headers
            )
        return HttpRequest(url=url, headers=headers, content=content)

    @override
    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        place = self._connection.place(wire.model, strict=False)
        return f"{place.base}{wire.path}", {**_HEADERS, **self._connection.placeholders(place), **wire.headers}

    @override
    def probe(self) -> WireRequest:
        # There is no such model, which the far end says after it has looked at the signature.
        path = requests.path_of(_NOBODY, "converse", backend=self.name)
        return WireRequest(path=path, body={}, model=_NOBODY, api="converse", origin=_ORIGIN)

    @override
    def probe_answers(self) -> Mapping[int, Literal["ready", "configured"]]:
        return {400: "ready", 404: "ready"}

    @override
    def upload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:
        way_out = f"put the file into S3 and pass its address, as in {type(part).__name__}(url='s3://bucket/key')"
        if not self._families.of(model).s3:
            way_out = f"send the bytes inline, since {model!r} reads nothing out of S3; other models take s3:// URLs"
        raise Unsupported(f"{self.name} has no file service: {way_out}", backend=self.name)

    # ------------------------------------------------------------ embeddings

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        wires = embeddings.encode(request, backend=self.name)
        return self.measured(request, embeddings.join(batches.embedded(self, wires, self._vectors)))

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        wires = embeddings.encode(request, backend=self.name)
        return self.measured(request, embeddings.join(await batches.aembedded(self, wires, self._vectors)))

    def _vectors(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Embeddings:
        return embeddings.decode(wire, data, exchange, backend=self.name)

    # ------------------------------------------------------------ counting

    @override
    def count_tokens(self, request: Request) -> int:
        self._check_counts(request)
        return self._counted(*self.exchange(self._counting(self.fetched(request))))

    @override
    async def acount_tokens(self, request: Request) -> int:
        self._check_counts(request)
        return self._counted(*await self.aexchange(self._counting(await self.afetched(request))))

    def _check_counts(self, request: Request) -> None:
        if not self._families.of(request.model).counts:
            raise self.lacks("token counting", request.model)

    def _counting(self, request: Request) -> WireRequest:
        wire = self.encode(request, stream=False)
        body = {name: wire.body[name] for name in _COUNTED if name in wire.body}
        # CountTokens knows the models themselves only, not their inference profiles.
        path = requests.path_of(base_model(request.model), "count-tokens", backend=self.name)
        return WireRequest(
            path=path,
            body={"input": {"converse": body}},
            model=request.model,
            api="count-tokens",
            origin=_ORIGIN,
            timeouts=wire.timeouts,
        )

    def _counted(self, data: JSON, exchange: Exchange) -> int:
        found = data.get("inputTokens")
        if not isinstance(found, int):
            message = f"the answer holds no count of tokens: {str(data)[:200]}"
            raise BadResponse(message, backend=self.name, sent=True, request_id=self.request_id(exchange.headers))
        return found
