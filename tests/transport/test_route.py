"""Proxies and certificates: the choice, and what both engines do with it."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import trustme

from genkit import errors
from genkit.transport import Transport
from genkit.transport.messages import target_of
from genkit.transport.route import Proxy, Route, bypasses, parse_proxy
from genkit.transport.tls import make_context
from genkit.types import Timeouts
from tests.farend import Call, FarEnd, answer

from .conftest import Engine


class Tunnel:
    """A little CONNECT proxy that also forwards plain requests; records what it was asked."""

    def __init__(self, *, user: str | None = None, refuse: int | None = None) -> None:
        self.heads: list[bytes] = []
        self._user = user
        self._refuse = refuse
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (data := sock.recv(1)):
                    return
                head += data
            self.heads.append(head)
            method, target, _ = head.split(b" ", 2)
            if self._refuse is not None or (self._user is not None and self._user.encode() not in _credentials(head)):
                status = self._refuse or 407
                sock.sendall(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
                return
            connecting = method == b"CONNECT"
            where = target if connecting else target.split(b"/")[2]
            host, _, port = where.decode().rpartition(":")
            with socket.create_connection(("127.0.0.1" if host == "localhost" else host, int(port))) as far:
                if connecting:
                    sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    far.sendall(head)
                self._pump(sock, far)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        pairs = {one: other, other: one}
        while not self._stopping.is_set():
            for ready in select.select([one, other], [], [], 0.05)[0]:
                try:
                    data = ready.recv(65536)
                    if not data:
                        return
                    pairs[ready].sendall(data)
                except OSError:
                    return


def _credentials(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name.lower() == b"proxy-authorization":
            return base64.b64decode(value.removeprefix(b"Basic "))
    return b""


@pytest.mark.parametrize(
    ("entries", "host", "port", "bypassed"),
    [
        ("*", "any.host", 443, True),
        ("", "host", 443, False),
        ("example.com", "example.com", 443, True),
        ("example.com", "api.example.com", 443, True),
        (".example.com", "api.example.com", 443, True),
        ("*.example.com", "api.example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        ("api.example.com", "example.com", 443, False),
        ("EXAMPLE.com", "Example.COM", 443, True),
        ("example.com", "example.com.", 443, True),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 443, False),
        ("a, b c", "b", 80, True),
        ("a, b c", "c", 80, True),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.1.2.3/8", "10.9.9.9", 80, True),
        ("10.0.0.0/8", "10.example.com", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1:81", "127.0.0.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("fd00::/8", "fd12::1", 80, True),
        ("0.0.1", "127.0.0.1", 80, False),
        ("not/a/net, 10.0.0.1", "10.0.0.1", 80, True),
    ],
)
def test_no_proxy_exempts_what_it_names(entries: str, host: str, port: int, bypassed: bool) -> None:
    assert bypasses(entries, host, port) is bypassed


def choice(url: str, **environ: str) -> str | None:
    proxy = Route(proxy=None, trust_env=True, environ=environ).proxy_for(target_of(url))
    return proxy and proxy.where


@pytest.mark.parametrize(
    ("url", "environ", "chosen"),
    [
        ("https://h/", {"HTTPS_PROXY": "http://p:1"}, "p:1"),
        ("https://h/", {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "p:1"),
        ("https://h/", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://h/", {"HTTP_PROXY": "http://p:1"}, "p:1"),
        ("http://h/", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://h/", {"ALL_PROXY": "http://p:1"}, "p:1"),
        ("https://h/", {"all_proxy": "p:1"}, "p:1"),
        ("https://h/", {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p"}, "p:80"),
        ("https://h/", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h"}, None),
        ("https://h/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "other", "NO_PROXY": "h"}, "p:1"),
        ("https://h/", {"HTTPS_PROXY": "", "ALL_PROXY": "http://a:1"}, "a:1"),
        ("https://h/", {"HTTPS_PROXY": "http://[::1]:3128"}, "[::1]:3128"),
        ("http://h/", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        ("http://h/", {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "p:1"),
        ("https://h/", {"ALL_PROXY": "socks5://s:1", "NO_PROXY": "h"}, None),
    ],
)
def test_the_environment_chooses_the_proxy(url: str, environ: dict[str, str], chosen: str | None) -> None:
    assert choice(url, **environ) == chosen


def test_a_proxy_of_the_caller_comes_before_the_environment() -> None:
    environ = {"HTTPS_PROXY": "http://q:1", "NO_PROXY": "*"}
    route = Route(proxy="http://p:1", trust_env=True, environ=environ)
    assert route.proxy_for(target_of("https://h/")) == Proxy("p", 1)


def test_without_trust_the_environment_is_not_read() -> None:
    route = Route(proxy=None, trust_env=False, environ={"HTTPS_PROXY": "http://q:1"})
    assert route.proxy_for(target_of("https://h/")) is None


def test_the_answer_for_a_host_is_kept() -> None:
    environ = {"HTTPS_PROXY": "http://p:1"}
    route = Route(proxy=None, trust_env=True, environ=environ)
    route.proxy_for(target_of("https://h/"))
    environ.clear()
    assert route.proxy_for(target_of("https://h/other")) == Proxy("p", 1)
    assert route.proxy_for(target_of("https://other/")) is None


def test_user_and_password_are_decoded_and_shown_nowhere() -> None:
    proxy = parse_proxy("http://us%40er:p%3Ass@p:1", source="proxy=")
    assert base64.b64decode((proxy.authorization or "").removeprefix("Basic ")) == b"us@er:p:ss"
    assert "p:ss" not in repr(proxy)
    assert proxy.url == "http://p:1"


@pytest.mark.parametrize("url", ["socks5://u:secret@p:1", "socks5h://p:1", "SOCKS4://p:1"])
def test_a_socks_proxy_is_refused_with_the_way_out(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="SOCKS") as caught:
        Transport(proxy=url)
    assert "secret" not in str(caught.value)
    with pytest.raises(errors.ConfigError, match="ALL_PROXY"):
        choice("https://h/", ALL_PROXY=url)


@pytest.mark.parametrize("url", ["https://p:1", "ftp://p", "http://", "http://p:port", "http://p\u00fc:1"])
def test_what_is_no_http_proxy_is_a_config_error(url: str) -> None:
    with pytest.raises(errors.ConfigError):
        Transport(proxy=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://bob:S3cret#pw@proxy:8080",
        "http://bob:S3cret/pw@proxy:8080",
        "http://bob:80#S3cret@proxy:8080",
        "http://[bob:S3cret@proxy:8080",
        "bob:S3cret://x@proxy:8080",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_refused_and_shown_nowhere(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="percent-encoded") as caught:
        choice("https://h/", HTTPS_PROXY=url)
    assert "S3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or "S3cret" not in str(caught.value.__context__)


class TestThroughAProxy:
    @pytest.fixture
    def trusting(self, engine: Engine, client_tls: ssl.SSLContext) -> Iterator[Engine]:
        engine.use(ca=client_tls)
        return engine

    def test_https_goes_through_connect(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        with FarEnd(answer(b"ok"), tls=server_tls) as far, Tunnel() as tunnel:
            engine.use(proxy=tunnel.url, ca=client_tls)
            for _ in range(3):
                assert engine.send(f"{far.url}/x", headers={"authorization": "secret"}).content == b"ok"
        assert len(tunnel.heads) == 1
        assert tunnel.heads[0].startswith(f"CONNECT localhost:{far.port} HTTP/1.1".encode())
        assert b"secret" not in tunnel.heads[0]
        assert "proxy-authorization" not in far.requests[0].headers

    def test_http_is_asked_of_the_proxy_with_its_whole_address(self, engine: Engine) -> None:
        with FarEnd(answer(b"ok")) as far, Tunnel() as tunnel:
            engine.use(proxy=tunnel.url)
            assert engine.send(f"{far.url}/a%3Ab?c", content=b"body").content == b"ok"
        assert tunnel.heads[0].startswith(f"POST {far.url}/a%3Ab?c HTTP/1.1".encode())
        assert far.requests[0].body == b"body"
        assert far.requests[0].headers["host"] == far.host

    @pytest.mark.parametrize("secure", [False, True])
    def test_user_and_password_are_given_to_the_proxy(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
    ) -> None:
        with FarEnd(answer(b"ok"), tls=server_tls if secure else None) as far, Tunnel(user="me:p@ss") as tunnel:
            engine.use(proxy=f"http://me:p%40ss@127.0.0.1:{tunnel.port}", ca=client_tls)
            assert engine.send(far.url).content == b"ok"

    def test_a_proxy_that_wants_a_password_is_a_config_error(self, engine: Engine) -> None:
        with Tunnel(user="me:pass") as tunnel:
            engine.use(proxy=tunnel.url)
            with pytest.raises(errors.ConfigError, match="user and password"):
                engine.send("https://localhost:1/")

    def test_a_proxy_that_wants_a_password_for_plain_http_is_a_config_error_too(self, engine: Engine) -> None:
        with Tunnel(user="me:pass") as tunnel:
            engine.use(proxy=tunnel.url)
            with pytest.raises(errors.ConfigError, match="user and password"):
                engine.send("http://localhost:1/")

    def test_a_407_without_a_proxy_is_an_answer(self, engine: Engine) -> None:
        with FarEnd(answer(status=407)) as far:
            assert engine.send(far.url).status == 407

    @pytest.mark.parametrize("answered", [b"", b"SSH-2.0\r\n\r\n"])
    def test_a_proxy_that_hangs_up_on_connect_is_named(self, engine: Engine, answered: bytes) -> None:
        with FarEnd(lambda call: (call.send(answered), call.hang_up())) as far:
            engine.use(proxy=far.url)
            with pytest.raises(errors.ConnectionFailed, match=f"the proxy {far.host}") as caught:
                engine.send("https://localhost:1/")
        assert not caught.value.sent

    def test_a_proxy_that_refuses_is_connection_failed_and_nothing_was_sent(self, engine: Engine) -> None:
        with Tunnel(refuse=403) as tunnel:
            engine.use(proxy=tunnel.url)
            with pytest.raises(errors.ConnectionFailed, match=f"proxy 127.0.0.1:{tunnel.port}.*403") as caught:
                engine.send("https://localhost:1/")
        assert not caught.value.sent

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_proxy_that_is_not_there_is_connection_failed(self, engine: Engine, scheme: str) -> None:
        engine.use(proxy="http://127.0.0.1:1")
        with pytest.raises(errors.ConnectionFailed, match=r"the proxy 127\.0\.0\.1:1") as caught:
            engine.send(f"{scheme}://localhost:2/")
        assert not caught.value.sent

    @pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
    def test_a_proxy_that_hangs_is_a_timeout_of_phase_connect(self, engine: Engine, answered: bytes) -> None:
        with FarEnd(lambda call: (call.send(answered), call.hold())) as hanging:
            engine.use(proxy=hanging.url)
            with pytest.raises(errors.Timeout) as caught:
                engine.send("https://localhost:1/", Timeouts(connect=0.2))
        assert (caught.value.phase, caught.value.sent) == ("connect", False)

    def test_the_environment_is_heeded_and_no_proxy_too(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        with FarEnd(answer(b"ok")) as far, Tunnel() as tunnel:
            monkeypatch.setenv("HTTP_PROXY", tunnel.url)
            engine.use()
            engine.send(far.url)
            assert len(tunnel.heads) == 1
            monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
            engine.use()
            engine.send(far.url)
            engine.use(trust_env=False)
            engine.send(far.url)
            assert len(tunnel.heads) == 1


class TestCertificates:
    def test_a_certificate_nobody_vouches_for_is_connection_failed_with_the_way_out(
        self, engine: Engine, server_tls: ssl.SSLContext
    ) -> None:
        with FarEnd(answer(), tls=server_tls) as far, pytest.raises(errors.ConnectionFailed, match="ca='") as caught:
            engine.send(far.url)
        assert not caught.value.sent
        assert not caught.value.retryable
        assert not far.requests
        assert caught.value.__cause__ is not None

    def test_a_certificate_for_another_host_is_connection_failed(
        self, engine: Engine, authority: trustme.CA, client_tls: ssl.SSLContext
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("elsewhere.example").configure_cert(context)
        engine.use(ca=client_tls)
        with FarEnd(answer(), tls=context) as far, pytest.raises(errors.ConnectionFailed, match=r"TLS.*ca='"):
            engine.send(far.url)

    def test_a_server_without_tls_is_connection_failed(self, engine: Engine) -> None:
        def serve() -> None:
            sock, _ = plain.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with socket.create_server(("127.0.0.1", 0)) as plain:
            server = threading.Thread(target=serve)
            server.start()
            with pytest.raises(errors.ConnectionFailed, match="TLS") as caught:
                engine.send(f"https://localhost:{plain.getsockname()[1]}/", Timeouts(connect=2))
            server.join(5)
        assert not caught.value.sent
        assert caught.value.retryable

    @pytest.mark.parametrize("form", ["file", "path", "context"])
    def test_certificates_given_by_the_caller_are_trusted(
        self,
        engine: Engine,
        authority: trustme.CA,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
        tmp_path: Path,
        form: str,
    ) -> None:
        pem = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(pem))
        engine.use(ca={"file": str(pem), "path": pem, "context": client_tls}[form])
        with FarEnd(answer(b"ok"), tls=server_tls) as far:
            for _ in range(3):
                assert engine.send(far.url).content == b"ok"
            assert engine.open(far.url).read() == b"ok"
        assert far.connections == 1

    def test_certificates_of_the_environment_are_trusted(
        self,
        engine: Engine,
        authority: trustme.CA,
        server_tls: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        pem = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(pem))
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        with FarEnd(answer(b"ok"), tls=server_tls) as far:
            engine.use()
            assert engine.send(far.url).content == b"ok"
            engine.use(trust_env=False)
            with pytest.raises(errors.ConnectionFailed):
                engine.send(far.url)

    def test_a_kept_tls_connection_that_is_dead_is_replaced(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        served: set[int] = set()

        def script(call: Call) -> None:
            if call.request.connection in served:
                call.hang_up()
            else:
                served.add(call.request.connection)
                call.answer(b"ok")

        engine.use(ca=client_tls)
        with FarEnd(script, tls=server_tls) as far:
            for _ in range(3):
                assert engine.send(far.url).content == b"ok"
        assert far.connections == 3

    def test_a_body_cut_short_under_tls_is_connection_failed(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        engine.use(ca=client_tls)
        with FarEnd(lambda call: (call.head(), call.chunk(b"x"), call.hang_up()), tls=server_tls) as far:
            stream = engine.open(far.url)
            with pytest.raises(errors.ConnectionFailed):
                stream.read()

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_ca_that_cannot_be_used_is_a_config_error(
        self, engine: Engine, tmp_path: Path, content: str | None
    ) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        engine.use(ca=path)
        with pytest.raises(errors.ConfigError, match=r"ca\.pem"):
            engine.send("https://localhost:1/")

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_a_variable_that_leads_nowhere_is_a_config_error(self, variable: str) -> None:
        with pytest.raises(errors.ConfigError, match=variable):
            make_context(None, trust_env=True, environ={variable: "/nowhere/ca.pem"})

    def test_the_default_context_checks_certificates_and_hosts(self) -> None:
        for trust_env in (True, False):
            context = make_context(None, trust_env=trust_env, environ={})
            assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

    def test_a_directory_of_certificates_is_accepted(self, tmp_path: Path) -> None:
        assert make_context(tmp_path, trust_env=True).verify_mode == ssl.CERT_REQUIRED
