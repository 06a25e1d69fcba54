"""Fetching, on both engines: real servers on loopback, hostile names, and what is made of the answers."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import trustme

from genkit.errors import (
    BadResponse,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    ServerError,
    Timeout,
)
from genkit.media import Fetcher
from genkit.transport import HttpRequest, Transport
from genkit.types import Audio, Document, FetchPolicy, Image, Media, Message, Request, Settings, Timeouts, Video
from tests.farend import Call, FarEnd, Script, answer

PNG = b"\x89PNG\r\n\x1a\n and so on"
PDF = b"%PDF-1.7 and so on"
MP4 = b"\0\0\0\x18ftypisom and so on"
HTML = b"\n<!DOCTYPE html><html><body>Sign in</body></html>"
LOCAL = FetchPolicy(allow_private=True)
Fetch = Callable[..., Media]


@pytest.fixture(params=["sync", "async"])
def fetch(request: pytest.FixtureRequest) -> Iterator[Fetch]:
    """Fetch one part, and return it filled."""

    def get(part: Media, policy: FetchPolicy = LOCAL, *, transport: Transport | None = None, **settings: Any) -> Media:
        asked = Request(model="m", messages=(Message.user(part),), settings=Settings(**settings))
        fetcher = Fetcher(transport or Transport(trust_env=False), policy)
        if request.param == "sync":
            filled = fetcher.fill(asked, [part])
            fetcher.close()
        else:

            async def main() -> Request:
                try:
                    return await fetcher.afill(asked, [part])
                finally:
                    await fetcher.aclose()

            filled = asyncio.run(main())
        result: Any = filled.messages[0].parts[0]
        return result

    return get


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names with the addresses that each look-up gives, one after another; the last one again and again."""
    known: dict[str, list[list[str]]] = {}
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in known:
            return original(host, port, *arguments, **options)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, int(port), 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port)))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that somebody wanted to connect to; beyond this machine nothing answers."""
    seen: list[str] = []
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            seen.append(address[0])
            if not address[0].startswith("127."):
                raise ConnectionRefusedError(111, "Connection refused")
        original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


def test_a_file_is_fetched_with_its_type(fetch: Fetch) -> None:
    with FarEnd(answer(PNG, headers={"content-type": "image/png"})) as far:
        part = fetch(Image(url=f"{far.url}/a", detail="low"))
    assert part == Image(data=PNG, mime="image/png", detail="low")


# ---------------------------------------------------------------- where it may go


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.1", "10.0.0.1", "0.0.0.0"],
)
def test_nothing_is_asked_of_own_addresses_however_they_are_written(
    fetch: Fetch, connected: list[str], host: str
) -> None:
    with pytest.raises(InvalidRequest, match=r"genkit does not fetch http://[^ ]*/a\?\.\.\.: "):
        fetch(Image(url=f"http://{host}/a?key=secret"), FetchPolicy())
    assert connected == []


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"])
def test_metadata_is_out_of_reach_where_private_addresses_are_not(
    fetch: Fetch, connected: list[str], host: str
) -> None:
    with pytest.raises(InvalidRequest, match="credentials"):
        fetch(Image(url=f"http://{host}/latest/meta-data/"), LOCAL)
    assert connected == []


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1", "::ffff:192.168.0.1"])
def test_a_public_name_that_leads_inside_is_refused(
    fetch: Fetch, names: dict[str, list[list[str]]], connected: list[str], address: str
) -> None:
    names["cats.example"] = [[address]]
    with pytest.raises(InvalidRequest, match=r"fetch http://cats\.example/a\.png: its host leads to"):
        fetch(Image(url="http://cats.example/a.png"), FetchPolicy())
    assert connected == []


def test_a_name_with_one_bad_address_among_good_ones_is_refused(
    fetch: Fetch, names: dict[str, list[list[str]]], connected: list[str]
) -> None:
    names["cats.example"] = [["93.184.215.14", "10.0.0.1"]]
    with pytest.raises(InvalidRequest, match=r"10\.0\.0\.1"):
        fetch(Image(url="http://cats.example/a.png"), FetchPolicy())
    assert connected == []


def test_the_address_that_was_checked_is_the_one_connected_to(
    fetch: Fetch, names: dict[str, list[list[str]]], connected: list[str]
) -> None:
    names["cats.example"] = [["93.184.215.14"], ["127.0.0.1"]]
    with pytest.raises(ConnectionFailed, match=r"http://cats\.example/a\.png cannot be fetched"):
        fetch(Image(url="http://cats.example/a.png"), FetchPolicy())
    assert connected == ["93.184.215.14"]


def test_a_name_that_turns_inside_for_a_second_file_is_refused_then(
    fetch: Fetch, names: dict[str, list[list[str]]], connected: list[str]
) -> None:
    names["cats.example"] = [["93.184.215.14"], ["127.0.0.1"]]
    with pytest.raises(ConnectionFailed):
        fetch(Image(url="http://cats.example/a.png"), FetchPolicy())
    with pytest.raises(InvalidRequest, match=r"127\.0\.0\.1"):
        fetch(Image(url="http://cats.example/a.png"), FetchPolicy())
    assert connected == ["93.184.215.14"]


def test_nothing_is_sent_to_a_wrong_peer_even_if_the_look_up_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # What would happen with an aiohttp that renamed the method in which addresses are checked first.
    monkeypatch.delattr("genkit.transport.aio._Connector._resolve_host")

    async def fetch(url: str) -> None:
        transport = Transport(trust_env=False).guarded(admit_nobody, max_bytes=100)
        try:
            await transport.asend(HttpRequest(url, {}, method="GET"), Timeouts(total=5))
        finally:
            await transport.aclose()

    def admit_nobody(host: str, addresses: Sequence[str]) -> None:
        raise InvalidRequest(f"{host} is at {addresses}")

    with FarEnd(answer(PNG)) as far:
        with pytest.raises(InvalidRequest, match=r"127\.0\.0\.1 is at"):
            asyncio.run(fetch(far.url))
        assert far.requests == []


def test_host_and_certificate_are_those_of_the_name(fetch: Fetch, names: dict[str, list[list[str]]]) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("cats.example").configure_cert(server)
    authority.configure_trust(client)
    names["cats.example"] = names["dogs.example"] = [["127.0.0.1"]]
    with FarEnd(answer(PNG), tls=server) as far:
        transport = Transport(trust_env=False, ca=client)
        part = fetch(Image(url=f"https://cats.example:{far.port}/a"), LOCAL, transport=transport)
        assert part.data == PNG
        assert far.requests[0].headers["host"] == f"cats.example:{far.port}"
        with pytest.raises(ConnectionFailed, match="no trusted TLS connection"):
            fetch(Image(url=f"https://dogs.example:{far.port}/a"), LOCAL, transport=transport)


def test_a_host_that_is_not_listed_is_not_asked(fetch: Fetch, connected: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="allow_hosts"):
        fetch(Image(url="http://127.0.0.1:81/a"), FetchPolicy(allow_hosts=("cats.example",), allow_private=True))
    assert connected == []


# ---------------------------------------------------------------- redirects


def redirect(to: str, status: int = 302) -> Script:
    return lambda call: (
        call.answer(PNG) if call.request.target == "/end" else call.answer(status=status, headers={"location": to})
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_with_its_goal(fetch: Fetch, status: int) -> None:
    with FarEnd(redirect("/end?key=secret", status)) as far:
        with pytest.raises(InvalidRequest, match=r"redirects to http://\S+/end\?\.\.\.; pass that URL") as caught:
            fetch(Image(url=f"{far.url}/a"))
        assert len(far.requests) == 1
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("to", ["/end", "end", "//{host}/end", "http://{host}/end"])
def test_a_redirect_is_followed_where_the_policy_says_so(fetch: Fetch, to: str) -> None:
    with FarEnd(answer()) as far:
        far.script = redirect(to.format(host=far.host))
        assert fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, redirects=1)).data == PNG


@pytest.mark.parametrize(
    "to",
    ["http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://metadata/", "ftp://x/"],
)
def test_a_redirect_is_checked_like_the_first_address(fetch: Fetch, connected: list[str], to: str) -> None:
    with FarEnd(redirect(to)) as far, pytest.raises(InvalidRequest, match="does not fetch"):
        fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, redirects=3))
    assert set(connected) == {"127.0.0.1"}


@pytest.mark.parametrize("redirects", [0, 1])
def test_a_redirect_to_what_is_no_url_is_an_error_of_ours(fetch: Fetch, redirects: int) -> None:
    policy = FetchPolicy(allow_private=True, redirects=redirects)
    with (
        FarEnd(answer(status=302, headers={"location": "http://[::1?secret=1"})) as far,
        pytest.raises(InvalidRequest, match=r"redirects to .* malformed") as caught,
    ):
        fetch(Image(url=f"{far.url}/a"), policy)
    assert "secret" not in str(caught.value)


def test_redirects_in_a_circle_end(fetch: Fetch) -> None:
    with FarEnd(redirect("/a")) as far:
        with pytest.raises(InvalidRequest, match="too many redirects"):
            fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, redirects=3))
        assert len(far.requests) == 4


def test_a_redirect_from_https_to_http_is_refused(fetch: Fetch) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    transport = Transport(trust_env=False, ca=client)
    with FarEnd(redirect("http://localhost/end"), tls=server) as far, pytest.raises(InvalidRequest, match="from https"):
        fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, redirects=3), transport=transport)


# ---------------------------------------------------------------- how much and how long


SMALL = FetchPolicy(allow_private=True, max_bytes=1000)


def test_a_file_that_says_it_is_too_large_is_not_read(fetch: Fetch) -> None:
    def script(call: Call) -> None:
        call.head(200, length=1_000_000)
        call.hold()

    with FarEnd(script) as far:
        with pytest.raises(InvalidRequest, match=r"it has 1000000 bytes, more than FetchPolicy\(max_bytes=1000\)"):
            fetch(Image(url=f"{far.url}/a"), SMALL)
        assert far.hung_up.wait(5)


def test_a_body_without_end_is_cut_at_the_limit(fetch: Fetch) -> None:
    def script(call: Call) -> None:
        call.head()
        call.drip(PNG * 10, every=0)

    with FarEnd(script) as far:
        with pytest.raises(InvalidRequest, match=r"more than FetchPolicy\(max_bytes=1000\)"):
            fetch(Image(url=f"{far.url}/a"), SMALL)
        assert far.hung_up.wait(5)


def test_a_gzip_bomb_is_not_unpacked(fetch: Fetch) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with FarEnd(answer(bomb, headers={"content-encoding": "gzip"})) as far:
        with pytest.raises(InvalidRequest, match="max_bytes"):
            fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, max_bytes=len(bomb) + 1000))
        assert far.requests[0].headers["accept-encoding"] == "identity"


def test_a_file_of_just_the_limit_is_taken(fetch: Fetch) -> None:
    with FarEnd(answer(PNG)) as far:
        assert fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, max_bytes=len(PNG))).data == PNG


@pytest.mark.parametrize("drips", [False, True])
def test_a_slow_file_ends_at_the_time_limit(fetch: Fetch, drips: bool) -> None:
    def script(call: Call) -> None:
        call.head()
        call.drip(b"x") if drips else call.hold()

    started = time.monotonic()
    with FarEnd(script) as far:
        with pytest.raises(Timeout, match=r"within FetchPolicy\(timeout=0\.2\)") as caught:
            fetch(Image(url=f"{far.url}/a?key=secret"), FetchPolicy(allow_private=True, timeout=0.2))
        assert far.hung_up.wait(5)
    assert time.monotonic() - started < 5
    assert "secret" not in str(caught.value)


def test_redirects_share_one_time_limit(fetch: Fetch) -> None:
    def script(call: Call) -> None:
        call.sleep(0.15)
        call.answer(status=302, headers={"location": "/b"})

    with FarEnd(script) as far, pytest.raises(Timeout):
        fetch(Image(url=f"{far.url}/a"), FetchPolicy(allow_private=True, redirects=3, timeout=0.25))


def test_the_time_of_the_call_comes_first(fetch: Fetch) -> None:
    with FarEnd(lambda call: call.hold()) as far, pytest.raises(Timeout) as caught:
        fetch(Image(url=f"{far.url}/a"), LOCAL, timeout=0.2)
    assert caught.value.phase == "total"


def test_what_fetching_took_is_taken_off_the_call() -> None:
    with FarEnd(answer(PNG)) as far:
        part = Image(url=f"{far.url}/a")
        asked = Request(model="m", messages=(Message.user(part),), settings=Settings(timeout=5))
        left = Fetcher(Transport(trust_env=False), LOCAL).fill(asked, [part]).settings.timeout.total
    assert left is not None
    assert 0 < left < 5


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 206])
def test_an_answer_that_is_no_file_is_an_error(fetch: Fetch, status: int) -> None:
    with FarEnd(answer(b"", status=status)) as far, pytest.raises(InvalidRequest, match=f"status {status}") as caught:
        fetch(Image(url=f"{far.url}/a?key=secret"))
    assert (caught.value.status, caught.value.sent, caught.value.retryable) == (status, False, False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_answer_that_may_be_better_later_is_worth_a_retry(fetch: Fetch, status: int) -> None:
    with FarEnd(answer(b"", status=status)) as far, pytest.raises(ServerError, match=f"status {status}") as caught:
        fetch(Image(url=f"{far.url}/a"))
    assert caught.value.retryable


def test_a_connection_that_breaks_is_an_error_of_the_file(fetch: Fetch) -> None:
    def script(call: Call) -> None:
        call.head(200, length=100)
        call.send(PNG)
        call.hang_up()

    with FarEnd(script) as far, pytest.raises(ConnectionFailed, match=r"/a cannot be fetched: ") as caught:
        fetch(Image(url=f"{far.url}/a"))
    assert not caught.value.sent


def test_an_empty_file_is_an_error(fetch: Fetch) -> None:
    with FarEnd(answer(b"")) as far, pytest.raises(InvalidRequest, match="it is empty"):
        fetch(Image(url=f"{far.url}/a"))


def test_what_is_not_http_is_an_error(fetch: Fetch) -> None:
    def script(call: Call) -> None:
        call.send(b"SSH-2.0\r\n\r\n")
        call.hang_up()

    with FarEnd(script) as far, pytest.raises(BadResponse, match="cannot be fetched"):
        fetch(Image(url=f"{far.url}/a"))


@pytest.mark.parametrize(
    ("part", "path", "body", "said", "mime"),
    [
        (Image, "/a", PNG, "image/jpeg", "image/png"),
        (Image, "/a.gif", PNG, "application/octet-stream", "image/png"),
        (Image, "/a.svg", b"<svg/>", "application/octet-stream", "image/svg+xml"),
        (Image, "/a", b"<svg/>", "image/svg+xml; charset=utf-8", "image/svg+xml"),
        (Audio, "/a", MP4, "audio/mp4", "audio/mp4"),
        (Video, "/a", MP4, "", "video/mp4"),
        (Document, "/a", PDF, "text/html", "application/pdf"),
        (Document, "/a.csv?x=1.pdf", b"a,b", "text/plain", "text/csv"),
        (Document, "/a", b"a,b", "text/plain; charset=utf-8", "text/plain"),
        (Document, "/a.html", HTML, "text/html", "text/html"),
        (Document, "/cars.txt", b"BMW and others", "", "text/plain"),
        (Document, "/cars", b"BMW and others", "text/csv", "text/csv"),
        (Image, "/a", b"?", "", None),
    ],
)
def test_the_type_is_told_by_bytes_then_the_far_end_then_the_ending(
    fetch: Fetch, part: Any, path: str, body: bytes, said: str, mime: str | None
) -> None:
    with FarEnd(answer(body, headers={"content-type": said} if said else {"x": "y"})) as far:
        assert fetch(part(url=f"{far.url}{path}")).mime == mime


@pytest.mark.parametrize(
    ("part", "path", "body", "said", "why"),
    [
        (Image, "/a.png", HTML, "image/png", "HTML page where the image was expected"),
        (Image, "/a.png", b"Please sign in", "text/html", "HTML page"),
        (Document, "/a.pdf", HTML, "application/pdf", "HTML page where the document"),
        (Video, "/a", HTML, "video/mp4", "HTML page"),
        (Image, "/a.png", PDF, "image/png", "application/pdf, and an image was expected"),
        (Audio, "/a.mp3", PNG, "audio/mpeg", "image/png, and an audio was expected"),
        (Image, "/a", b"Not found", "text/plain", "text/plain, and an image was expected"),
        (Image, "/a", b"{}", "application/json", "application/json, and an image was expected"),
    ],
)
def test_what_is_not_what_was_expected_is_an_error(
    fetch: Fetch, part: Any, path: str, body: bytes, said: str, why: str
) -> None:
    with FarEnd(answer(body, headers={"content-type": said})) as far, pytest.raises(InvalidRequest, match=why):
        fetch(part(url=f"{far.url}{path}"))


def test_a_type_that_the_user_gives_is_kept_unless_the_bytes_contradict_it(fetch: Fetch) -> None:
    with FarEnd(answer(PNG)) as far:
        assert fetch(Image(url=f"{far.url}/a", mime="image/x-own")).mime == "image/x-own"
        with pytest.raises(InvalidRequest, match="it is image/png, not image/jpeg"):
            fetch(Image(url=f"{far.url}/a", mime="image/jpeg"))


# ---------------------------------------------------------------- proxies


def test_through_a_proxy_nothing_is_fetched_unless_allowed(fetch: Fetch) -> None:
    with FarEnd(answer(PNG)) as proxy:
        transport = Transport(proxy=proxy.url)
        with pytest.raises(InvalidRequest, match=r"proxy 127\.0\.0\.1:\d+ would look its name up.*through_proxy=True"):
            fetch(Image(url="http://cats.example/a"), FetchPolicy(), transport=transport)
        assert proxy.requests == []
        part = fetch(Image(url="http://cats.example/a"), FetchPolicy(through_proxy=True), transport=transport)
        assert part.data == PNG
        assert proxy.requests[0].headers["host"] == "cats.example"


def test_through_a_proxy_addresses_in_the_url_are_checked_all_the_same(fetch: Fetch) -> None:
    policy = FetchPolicy(through_proxy=True)
    with FarEnd(answer(PNG)) as proxy, pytest.raises(InvalidRequest, match="private network"):
        fetch(Image(url="http://10.0.0.1/a"), policy, transport=Transport(proxy=proxy.url))


def test_an_http_client_of_the_user_is_not_used_since_its_headers_may_be_secret(fetch: Fetch) -> None:
    httpx = pytest.importorskip("httpx")
    kinds = (httpx.Client, httpx.AsyncClient)
    with FarEnd(answer(PNG)) as far:
        for kind in kinds:
            client = kind(headers={"authorization": "Bearer secret"})
            transport = Transport(http_client=client, trust_env=False)
            fetch(Image(url=f"{far.url}/a"), LOCAL, transport=transport)
            client.close() if kind is httpx.Client else asyncio.run(client.aclose())
        assert all("authorization" not in request.headers for request in far.requests)


@pytest.mark.parametrize("fields", [{"redirects": 4}, {"max_bytes": 0}, {"timeout": 0}, {"allow_privat": True}])
def test_a_policy_that_cannot_be_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        FetchPolicy(**fields)


def test_a_broken_data_uri_is_an_error(fetch: Fetch) -> None:
    with pytest.raises(ConfigError, match="data URI"):
        fetch(Image(url="data:image/png;base64,@@"))
