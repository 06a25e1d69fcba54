"""Google's models: the Gemini API with a key ("google"), and Vertex AI with Google Cloud's credentials ("vertex").

Both speak one wire, `generateContent`, and differ in address, identity and a few rules. No SDK is needed; google-auth
is loaded where Vertex AI is called without a key.

Vendor-only options go into `extra={"google": {...}}` or `extra={"vertex": {...}}`, in the words of the REST API
("safetySettings", "generationConfig", "cachedContent", ...). They are merged last into the body: tools are added to the
request's own, objects are merged at every depth, everything else is replaced. Options of embeddings go into the options
of each text.

A part's `native` data holds its `thoughtSignature`, and of media also `videoMetadata` and `mediaResolution`; parts
without a word in genkit (code that ran, searches) are `Opaque` with the vendor's whole part. All of it goes back to the
door that gave it, `origin`, and to no other: the Gemini API and Vertex AI refuse each other's signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from typing_extensions import override

from ...errors import BadResponse, GenkitError, Unsupported
from ...media import policy_of
from ...transport import MAX_BYTES, HttpRequest, Transport
from ...types import Embeddings, EmbedRequest, Features, FetchPolicy, Media, Request, Response, Timeouts
from .. import batches, files
from ..wire import Decoder, Exchange, WireBackend, WireRequest
from . import answers, embeddings, failures
from .connection import Connection
from .counts import count
from .frames import Frames
from .media import Shelf, files_origin
from .models import Families, Vendor
from .request import encode, encode_count, settings_of

if TYPE_CHECKING:
    import os
    import ssl

__all__ = ["Google"]

JSON = dict[str, Any]


class Google(WireBackend):
    """The Gemini API, and Vertex AI.

    Vertex AI without a key signs in as Google Cloud does: with GOOGLE_APPLICATION_CREDENTIALS (a service account's
    file, workload identity, impersonation), with gcloud's credentials, or with those of the machine. With a key it is
    the express mode, which has no project.

    Args:
        name: The backend's name, under which `extra` is taken.
        vendor: Whose door it is; by default "vertex" under that name, and "google" under every other.
        api_key: The key, or a function that returns the current one. Else GOOGLE_API_KEY is read, then GEMINI_API_KEY;
            for Vertex AI only GOOGLE_API_KEY, where no project is named.
        base_url: Another address than Google's own, with or without the version.
        client: A `google.genai.Client`: its address, identity and headers are used; nothing is sent through it.
        http_client: A client of `httpx` or `httpx2` to send through.
        proxy: A proxy for every host; see `Transport`.
        ca: Certificates to trust; see `Transport`.
        headers: Further headers of every request.
        max_bytes: Longest answer to read, in bytes.
        fetch: What may be fetched where the vendor does not fetch it by itself; False for nothing.
        api_version: The API's version; else GOOGLE_GENAI_API_VERSION, else "v1beta" ("v1beta1" on Vertex AI).
        families: Rows of the table of model families, as mappings, to be looked at before genkit's own.
        project: Google Cloud's project, for Vertex AI; else GOOGLE_CLOUD_PROJECT, else that of the credentials.
        location: Where the model runs, such as "global" or "europe-west4"; else GOOGLE_CLOUD_LOCATION.
        credentials: An object of google-auth to sign in with.

    Raises:
        ConfigError: If an argument cannot be used. A missing key is `MissingCredential` at the first call; a missing
            project or location is a `ConfigError` there.
    """

    def __init__(
        self,
        *,
        name: str = "google",
        vendor: Vendor | None = None,
        api_key: str | SecretStr | Callable[[], str] | None = None,
        base_url: str | None = None,
        client: object | None = None,
        http_client: object | None = None,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        fetch: FetchPolicy | bool = True,
        api_version: str | None = None,
        families: Sequence[Mapping[str, Any]] | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
    ) -> None:
        self.name = name
        self.vendor: Vendor = vendor or ("vertex" if name == "vertex" else "google")
        self.transport = Transport(proxy=proxy, ca=ca, http_client=http_client, max_bytes=max_bytes)
        self.fetch = policy_of(fetch, backend=name)
        self._families = Families(families, name=name)
        self._connection = Connection(
            name,
            self.vendor,
            transport=self.transport,
            api_key=api_key,
            base_url=base_url,
            client=client,
            headers=headers,
            api_version=api_version,
            project=project,
            location=location,
            credentials=credentials,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    @override
    def features(self, model: str) -> Features:
        if embeddings.embeds(model):
            return Features(settings=frozenset({"timeout"}), embeddings=True)
        family = self._families.of(model)
        return Features(
            settings=settings_of(family, self.vendor),
            tools=family.tools,
            output_schema=family.schemas,
            thinking=family.thinking != "none",
            media=family.media,
            count_tokens=True,
        )

    def takes_url(self, part: Media, model: str) -> bool:
        """Return whether the vendor takes the address of a piece of media as it is; one that holds the data it does."""
        if (part.url or "").startswith("data:"):
            return True
        family = self._families.of(model)
        return Shelf(family, self.vendor, files="", name=self.name).fetches(part)

    @override
    def fetches(self, part: Media, model: str) -> bool:
        kind: str = part.kind  # type: ignore[attr-defined]  # every subclass has a kind
        web = (part.url or "").partition(":")[0].lower() in ("http", "https")
        return web and kind in self._families.of(model).media and not self.takes_url(part, model)

    # ------------------------------------------------------------ translation

    @override
    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        return self._encoded(request, stream=stream)

    def _encoded(self, asked: Request, *, stream: bool = False, count: bool = False) -> WireRequest:
        family, place = self._families.of(asked.model), self._connection.place(strict=False)
        common: JSON = {"name": self.name, "origin": self._origin(), "files": f"{place.base}{place.version}/files/"}
        try:
            if count:
                resource = self._connection.resource(asked.model)
                wire = encode_count(asked, family, self.vendor, resource=resource, **common)
            else:
                wire = encode(asked, family, self.vendor, stream=stream, **common)
            return self._placed(wire)
        except GenkitError as error:
            error.backend = error.backend or self.name
            raise

    def _placed(self, wire: WireRequest) -> WireRequest:
        """Return a request with the whole of its path; what encodes knows the method only."""
        return replace(wire, path=self._connection.path(wire.model, wire.path))

    @override
    def decode(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        return answers.decode(wire, data, exchange, backend=self.name)

    @override
    def decoder(self, wire: WireRequest) -> Decoder:
        return answers.Decoder(wire, backend=self.name)

    @override
    def parser(self) -> Frames:
        return Frames()

    @override
    def parsed(self, content: bytes, headers: Mapping[str, str], request: HttpRequest | None) -> JSON:
        return failures.listed(content) or super().parsed(content, headers, request)

    @override
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        return failures.failure(status, headers, body, backend=self.name)

    # ------------------------------------------------------------ sending

    @override
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        # The credential first: it may know the project.
        headers = self._connection.headers()
        return self._http(wire, content, headers)

    @override
    def may_wait(self) -> bool:
        return self._connection.may_wait()

    @override
    def renews(self, request: HttpRequest, error: GenkitError) -> bool:
        return error.status == 401 and self._connection.renews(request)

    @override
    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        return self._http(wire, content, await self._connection.aheaders())

    def _http(self, wire: WireRequest, content: bytes, headers: dict[str, str]) -> HttpRequest:
        return HttpRequest(
            url=self._connection.url(wire.path, bare=wire.method == "GET"),
            headers={**headers, **wire.headers},
            content=content,
        )

    @override
    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        url = self._connection.url(wire.path, bare=wire.method == "GET", strict=False)
        return url, {**self._connection.placeholders(), **wire.headers}

    @override
    def upload(self, part: Media, model: str, *, timeouts: Timeouts, retries: int) -> Media:
        if self.vendor == "vertex":
            raise Unsupported(
                f"{self.name} has no file service: put the file into Cloud Storage and pass its address, as in "
                f"{type(part).__name__}(url='gs://bucket/name')",
                backend=self.name,
            )
        base, version = self._connection.files()
        where = files.Service(
            self.name,
            base,
            self._connection.headers(),
            transport=self.transport,
            timeouts=timeouts,
            retries=retries,
        )
        uploaded = files.upload_google(part, where, api_version=version)
        return uploaded.model_copy(update={"origin": files_origin(self._origin()), "native": None})

    def _origin(self) -> str:
        """Return the mark of native data; another address is another origin."""
        place = self._connection.place(strict=False)
        return f"{self.vendor}/generateContent" + ("" if place.home else f"@{place.base}")

    @override
    def probe(self) -> WireRequest:
        path = "/models?pageSize=1" if self.vendor == "google" else "/publishers/google/models/gemini-2.5-flash"
        return WireRequest(path=path, body={}, model="", api="models", origin="", method="GET")

    # ------------------------------------------------------------ counting and embeddings

    @override
    def count_tokens(self, request: Request) -> int:
        return self._counted(self.exchange(self._encoded(self.fetched(request), count=True))[0])

    @override
    async def acount_tokens(self, request: Request) -> int:
        wire = self._encoded(await self.afetched(request), count=True)
        return self._counted((await self.aexchange(wire))[0])

    def _counted(self, data: JSON) -> int:
        if error := data.get("error"):
            raise failures.in_stream(error, backend=self.name)
        # Protobuf's JSON leaves a 0 out.
        found = count({"totalTokens": 0, **data}, "totalTokens")
        if found is None:
            raise BadResponse(f"the answer has no count of tokens: {str(data)[:200]!r}", backend=self.name, sent=True)
        return found

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        found = batches.embedded(self, self._embedding(request), self._vectors)
        return self.measured(request, embeddings.join(found))

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        found = await batches.aembedded(self, self._embedding(request), self._vectors)
        return self.measured(request, embeddings.join(found))

    def _embedding(self, request: EmbedRequest) -> list[WireRequest]:
        resource = self._connection.resource(request.model)
        wires = embeddings.encode(request, self.vendor, name=self.name, resource=resource)
        return [self._placed(wire) for wire in wires]

    def _vectors(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Embeddings:
        return embeddings.decode(wire, data, exchange, backend=self.name)
