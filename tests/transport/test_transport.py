"""What a transport sends and gives back, on both engines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest

from genkit import errors
from genkit.transport import HttpRequest, Transport
from genkit.transport.messages import masked, masked_bytes
from genkit.types import Timeouts
from tests.farend import Call, FarEnd, answer

from .conftest import FAST, Engine

EVENT = b"data: {}\n\n"


class TestSending:
    def test_an_answer_has_status_headers_and_content(self, engine: Engine) -> None:
        with FarEnd(answer(b"hello", headers={"X-One": "1", "content-type": "text/plain"})) as far:
            got = engine.send(f"{far.url}/path")
        assert (got.status, got.content, got.headers["x-one"]) == (200, b"hello", "1")

    def test_repeated_response_headers_are_joined(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\ncontent-length: 0\r\n\r\n")

        with FarEnd(script) as far:
            assert engine.send(far.url).headers["a"] == "1, 2"

    def test_method_headers_and_body_arrive_as_given(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(f"{far.url}/x", method="PUT", content=b"\x00\xffbody", headers={"X-Key": "v", "accept": "a/b"})
        sent = far.requests[0]
        assert (sent.method, sent.body, sent.headers["x-key"], sent.headers["accept"]) == (
            "PUT",
            b"\x00\xffbody",
            "v",
            "a/b",
        )

    def test_both_engines_send_the_same_head(self) -> None:
        heads = []
        with FarEnd(answer()) as far:
            for asynchronous in (False, True):
                engine = Engine(asynchronous=asynchronous)
                engine.send(f"{far.url}/a?b", content=b"x", headers={"content-type": "application/json"})
                engine.end()
                heads.append(far.requests[-1].raw_head)
        assert heads[0] == heads[1]

    @pytest.mark.parametrize(
        "path",
        [
            "/model/amazon.nova-lite-v1%3A0/converse",
            "/model/arn%3Aaws%3Abedrock%2Fab%20cd/x",
            "/a/../b//c/./d",
            "/p%7e%41?q=%2B+&r=a;b&empty",
            "?only=query",
            "/%e4%b8%ad'()*!$,~",
            "/v1:generate@x",
        ],
    )
    def test_the_path_is_sent_byte_for_byte(self, engine: Engine, path: str) -> None:
        with FarEnd(answer()) as far:
            engine.send(far.url + path)
        assert far.requests[0].target == (path if path.startswith("/") else f"/{path}")

    def test_an_empty_query_is_left_out_on_both_engines(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(f"{far.url}/p?#fragment")
        assert far.requests[0].target == "/p"

    @pytest.mark.parametrize("size", [0, 1, 300_000, 3_000_000])
    def test_bodies_of_any_size_arrive_whole(self, engine: Engine, size: int) -> None:
        content = os.urandom(size)
        with FarEnd(answer()) as far:
            engine.send(far.url, content=content)
        assert far.requests[0].body == content
        assert far.requests[0].headers["content-length"] == str(size)

    def test_a_get_has_no_body_headers(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(far.url, method="GET")
        assert "content-length" not in far.requests[0].headers

    def test_a_host_header_of_the_caller_is_kept(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            engine.send(far.url, headers={"Host": "signed.example"})
        assert far.requests[0].headers["host"] == "signed.example"

    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
    def test_an_error_status_is_an_answer(self, engine: Engine, status: int) -> None:
        with FarEnd(answer(b"why", status=status)) as far:
            assert engine.send(far.url).status == status
            stream = engine.open(far.url)
            assert (stream.status, stream.read()) == (status, b"why")

    def test_informational_answers_are_passed_over(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
            call.answer(b"ok")

        with FarEnd(script) as far:
            assert engine.send(far.url).content == b"ok"

    def test_no_cookie_is_kept(self, engine: Engine) -> None:
        with FarEnd(answer(headers={"set-cookie": "a=b"})) as far:
            engine.send(far.url)
            engine.send(far.url)
        assert "cookie" not in far.requests[1].headers

    @pytest.mark.parametrize("value", ["key\n", "k\r\nx: y", "ke\u0301y", "k\0"])
    def test_a_header_value_that_cannot_be_sent_is_a_config_error_without_the_value(
        self, engine: Engine, value: str
    ) -> None:
        with pytest.raises(errors.ConfigError, match="'authorization'") as caught:
            engine.send("http://127.0.0.1:1", headers={"authorization": value})
        assert value not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        ["example.com/x", "/x", "ftp://h/x", "http://", "http://h h/", "http://h/ü", "http://h:99999/", "http://[::1/"],
    )
    def test_a_url_that_is_not_absolute_and_encoded_is_a_config_error(self, engine: Engine, url: str) -> None:
        with pytest.raises(errors.ConfigError):
            engine.send(url)


class TestRefusals:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_refused_and_names_its_goal(self, engine: Engine, status: int) -> None:
        location = "https://user:secret@elsewhere.example:8443/v1?key=secret"
        with (
            FarEnd(answer(b"", status=status, headers={"location": location})) as far,
            pytest.raises(errors.BadResponse, match=r"elsewhere\.example:8443.*base_url") as caught,
        ):
            engine.send(far.url, headers={"authorization": "Bearer k"})
        assert len(far.requests) == 1
        assert caught.value.status == status
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("status", [300, 304, 600, 999])
    def test_a_status_that_is_no_answer_is_refused(self, engine: Engine, status: int) -> None:
        with (
            FarEnd(lambda call: (call.head(status, length=0), call.hang_up())) as far,
            pytest.raises(errors.BadResponse),
        ):
            engine.send(far.url)

    def test_switching_protocols_is_refused(self, engine: Engine) -> None:
        with (
            FarEnd(
                lambda call: (call.send(b"HTTP/1.1 101 X\r\nupgrade: y\r\nconnection: upgrade\r\n\r\n"), call.hold())
            ) as far,
            pytest.raises(errors.BadResponse),
        ):
            engine.send(far.url, Timeouts(first=2))

    @pytest.mark.parametrize("wire", [b"garbage\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
    def test_what_is_not_http_is_a_bad_response(self, engine: Engine, wire: bytes) -> None:
        with (
            FarEnd(lambda call: (call.send(wire), call.hold())) as far,
            pytest.raises(errors.BadResponse, match="does not speak HTTP"),
        ):
            engine.send(far.url, Timeouts(first=2))

    @pytest.mark.parametrize("wire", [b"SSH-2.0-OpenSSH_9\r\n", b"220 mail.example ESMTP\r\n", b"\x15\x03\x01"])
    def test_a_server_of_another_kind_that_hangs_up_is_a_bad_response_too(self, engine: Engine, wire: bytes) -> None:
        with (
            FarEnd(lambda call: (call.send(wire), call.hang_up())) as far,
            pytest.raises(errors.BadResponse, match="does not speak HTTP") as caught,
        ):
            engine.send(far.url, Timeouts(first=2))
        assert "\n" not in str(caught.value)

    def test_a_server_of_another_kind_is_not_waited_for(self, engine: Engine) -> None:
        with (
            FarEnd(lambda call: (call.send(b"SSH-2.0-OpenSSH_9\r\n"), call.hold())) as far,
            pytest.raises(errors.BadResponse, match="does not speak HTTP"),
        ):
            engine.send(far.url, Timeouts(first=2))

    def test_an_answer_that_comes_byte_by_byte_is_read(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n":
                call.send(bytes([byte]))
                call.sleep(0.001)

        with FarEnd(script) as far:
            assert engine.send(far.url).status == 200

    def test_an_answer_that_says_twice_where_it_ends_is_a_bad_response(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.head(200, {"content-length": "2"})
            call.chunk(b"{}")
            call.end()

        with FarEnd(script) as far, pytest.raises(errors.BadResponse, match="does not speak HTTP"):
            engine.send(far.url)

    def test_a_malformed_chunk_is_a_bad_response(self, engine: Engine) -> None:
        with (
            FarEnd(lambda call: (call.head(), call.chunk(b"ok"), call.send(b"zz\r\nboom"), call.hold())) as far,
            pytest.raises(errors.BadResponse, match="does not speak HTTP"),
        ):
            engine.send(far.url, Timeouts(first=2))

    def test_an_endless_head_is_a_bad_response(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.send(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                call.send(b"x: " + b"y" * 10_000)

        with FarEnd(script) as far, pytest.raises(errors.BadResponse):
            engine.send(far.url)


class TestBrokenConnections:
    def test_what_a_library_says_of_it_stands_on_one_line(self, engine: Engine) -> None:
        with (
            FarEnd(lambda call: (call.head(length=9), call.send(b"short"), call.hang_up())) as far,
            pytest.raises(errors.ConnectionFailed) as caught,
        ):
            engine.send(far.url)
        assert "\n" not in str(caught.value)
        assert "400" not in str(caught.value).replace(str(far.port), "")

    def test_a_refused_connection_is_connection_failed_and_nothing_was_sent(self, engine: Engine) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(errors.ConnectionFailed, match=f"127.0.0.1:{port}") as caught:
            engine.send(f"http://127.0.0.1:{port}")
        assert not caught.value.sent
        assert isinstance(caught.value.__cause__, OSError)

    def test_a_name_that_does_not_resolve_is_connection_failed(self, engine: Engine) -> None:
        with pytest.raises(errors.ConnectionFailed, match=r"nowhere\.invalid") as caught:
            engine.send("http://nowhere.invalid")
        assert not caught.value.sent
        assert caught.value.__cause__ is not None

    @pytest.mark.parametrize("reset", [False, True])
    def test_a_connection_closed_without_an_answer_is_connection_failed_and_sent(
        self, engine: Engine, reset: bool
    ) -> None:
        with (
            FarEnd(lambda call: call.hang_up(reset=reset)) as far,
            pytest.raises(errors.ConnectionFailed) as caught,
        ):
            engine.send(far.url)
        assert caught.value.sent
        assert len(far.requests) == 1

    def test_half_a_head_is_connection_failed(self, engine: Engine) -> None:
        with (
            FarEnd(lambda call: (call.send(b"HTTP/1.1 200 OK\r\ncontent-"), call.hang_up())) as far,
            pytest.raises(errors.ConnectionFailed),
        ):
            engine.send(far.url)
        assert len(far.requests) == 1

    @pytest.mark.parametrize("length", [100, None], ids=["content-length", "chunked"])
    @pytest.mark.parametrize("reset", [False, True])
    def test_a_body_cut_short_is_connection_failed(self, engine: Engine, length: int | None, reset: bool) -> None:
        def script(call: Call) -> None:
            call.head(200, length=length)
            call.send(b"5\r\nhello" if length is None else b"hello")
            call.hang_up(reset=reset)

        with FarEnd(script) as far, pytest.raises(errors.ConnectionFailed) as caught:
            engine.send(far.url)
        assert caught.value.sent
        assert len(far.requests) == 1

    def test_a_body_without_length_ends_with_the_connection(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.send(b"HTTP/1.1 200 OK\r\n\r\nall of it"), call.hang_up())) as far:
            assert engine.send(far.url).content == b"all of it"

    def test_an_early_answer_to_a_large_body_is_read(self, engine: Engine) -> None:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            sock, _ = listener.accept()
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
            sock.close()

        server = threading.Thread(target=serve)
        server.start()
        with listener:
            got = engine.send(f"http://127.0.0.1:{listener.getsockname()[1]}", content=b"x" * 2_000_000)
            server.join(5)
        assert (got.status, got.content) == (413, b"big")


class TestKeepAlive:
    def test_calls_one_after_another_use_one_connection(self, engine: Engine) -> None:
        with FarEnd(answer()) as far:
            for _ in range(10):
                engine.send(far.url)
        assert far.connections == 1

    @pytest.mark.parametrize("reset", [False, True])
    @pytest.mark.parametrize("size", [2, 400_000])
    def test_a_request_on_a_kept_connection_that_is_dead_is_sent_again(
        self, engine: Engine, reset: bool, size: int
    ) -> None:
        served: set[int] = set()

        def script(call: Call) -> None:
            # The connection dies just when its second request arrives.
            if call.request.connection in served:
                call.hang_up(reset=reset)
            else:
                served.add(call.request.connection)
                call.answer(b"ok")

        with FarEnd(script) as far:
            for _ in range(3):
                assert engine.send(far.url, content=b"x" * size).content == b"ok"
        assert far.connections == 3
        assert len(far.requests) == 5

    def test_a_request_on_a_fresh_connection_is_not_sent_again(self, engine: Engine) -> None:
        with FarEnd(lambda call: call.hang_up()) as far, pytest.raises(errors.ConnectionFailed):
            engine.send(far.url)
        assert len(far.requests) == 1

    def test_a_request_is_sent_again_only_once(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.answer() if len(far.requests) == 1 else call.hang_up()

        with FarEnd(script) as far:
            engine.send(far.url)
            with pytest.raises(errors.ConnectionFailed) as caught:
                engine.send(far.url)
        assert caught.value.sent
        assert len(far.requests) == 3

    def test_a_request_that_got_a_single_byte_back_is_not_sent_again(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            if len(far.requests) == 1:
                call.answer()
            else:
                call.send(b"H")
                call.hang_up()

        with FarEnd(script) as far:
            engine.send(far.url)
            with pytest.raises(errors.ConnectionFailed):
                engine.send(far.url)
        assert len(far.requests) == 2

    def test_a_request_that_timed_out_on_a_kept_connection_is_not_sent_again(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.answer() if len(far.requests) == 1 else call.hold()

        with FarEnd(script) as far:
            engine.send(far.url)
            with pytest.raises(errors.Timeout):
                engine.send(far.url, Timeouts(first=0.1))
        assert len(far.requests) == 2

    def test_a_get_is_sent_again_as_a_post_is(self, engine: Engine) -> None:
        def script(call: Call) -> None:
            call.answer() if len(far.requests) == 1 else call.hang_up()

        with FarEnd(script) as far:
            engine.send(far.url, method="GET")
            with pytest.raises(errors.ConnectionFailed):
                engine.send(far.url, method="GET")
        assert len(far.requests) == 3

    def test_connections_closed_while_idle_are_not_used(self, engine: Engine) -> None:
        with FarEnd(lambda call: (call.answer(), call.hang_up())) as far:
            for _ in range(3):
                engine.send(far.url)
                time.sleep(0.02)
        assert len(far.requests) == 3


class TestValues:
    @pytest.mark.parametrize(
        "url", ["http://bob:S3cret/pw@h/v1", "http://bob:S3cret#pw@h/v1", "bob:S3cret@h/v1", "http://[bob:S3cret@h/"]
    )
    def test_a_url_that_cannot_be_used_shows_no_password(self, engine: Engine, url: str) -> None:
        with pytest.raises(errors.ConfigError) as caught:
            engine.send(url)
        assert "S3cret" not in "".join(traceback.format_exception(caught.value)).replace(repr(url), "")

    def test_the_repr_of_a_request_shows_no_secret(self) -> None:
        secret = "s3cret"
        names = ["Authorization", "api-key", "X-API-Key", "x-goog-api-key", "X-Amz-Security-Token", "Cookie"]
        request = HttpRequest(f"https://u:{secret}@h/p?key={secret}", dict.fromkeys(names, secret), secret.encode())
        assert secret not in repr(request)
        assert re.search(r"h/p\?", repr(request))

    def test_the_repr_of_a_request_shows_no_value_that_is_not_known_to_be_harmless(self) -> None:
        names = ["ocp-apim-subscription-key", "cf-access-client-secret", "x-amz-signature", "x-sig", "X-Session"]
        request = HttpRequest("http://h/p?sid=SECRET&alt=sse&SECRET#SECRET", dict.fromkeys(names, "SECRET"))
        assert "SECRET" not in repr(request)
        assert "http://h/p?sid=***&alt=sse&***," in repr(request)
        assert all(f"{name!r}: '***'" in repr(request) for name in names)
        assert "'accept': 'a/b'" in repr(HttpRequest("http://h", {"accept": "a/b"}))

    def test_the_secrets_of_a_request_are_taken_out_of_what_quotes_it(self) -> None:
        headers = {"authorization": "Bearer 1234567890", "x-short": "ordinary", "x-tiny": "word", "accept": "text/html"}
        request = HttpRequest("http://h/?key=abc%2Fdefgh&alt=eventstream", headers)
        said = "Bearer 1234567890 or 1234567890, abc/defgh or abc%2Fdefgh; word text/html eventstream"
        shown = "*** or ***, *** or ***; word text/html eventstream"
        assert masked(said, request.secrets()) == shown
        assert masked_bytes(said.encode(), request.secrets()) == shown.encode()

    def test_two_connections_settings_exclude_a_client(self) -> None:
        with pytest.raises(errors.ConfigError, match="http_client"):
            Transport(proxy="http://h:1", http_client=object())


class Deaf:
    """A server that reads next to nothing: it sends `first`, and `then` when a client that waits for it has time to."""

    def __init__(self, first: bytes = b"", *, then: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self._first, self._then, self._tls = first, then, tls
        self._sockets: list[socket.socket] = []
        self.received = 0

    def __enter__(self) -> Self:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(50)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for sock in self._sockets:
            sock.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                sock = self._listener.accept()[0]
                if self._tls is not None:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
                if self._first:
                    self.received += len(sock.recv(1000))
                    sock.sendall(self._first)
                if self._then:
                    self._take_all(sock)
            except OSError:
                continue

    def _take_all(self, sock: socket.socket) -> None:
        self._stopping.wait(0.1)
        sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while data := sock.recv(1_000_000):
                self.received += len(data)
        sock.sendall(self._then)


def _held(port: int) -> int:
    """Return how many sockets of this process are connected to `port`."""
    sockets = [thing for thing in gc.get_objects() if type(thing) in (socket.socket, ssl.SSLSocket)]
    return sum(sock.fileno() >= 0 and sock.family == socket.AF_INET and _peer_port(sock) == port for sock in sockets)


def _peer_port(sock: socket.socket) -> int | None:
    try:
        found: int = sock.getpeername()[1]
    except OSError:
        return None
    return found


REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LARGE = b"x" * 8_000_000


class TestServersThatDoNotRead:
    def test_an_answer_that_comes_before_the_body_is_read_is_seen_at_once(self, engine: Engine) -> None:
        with Deaf(REFUSED) as far:
            began = time.monotonic()
            assert engine.send(f"http://127.0.0.1:{far.port}", Timeouts(first=3), content=LARGE).status == 401
            assert time.monotonic() - began < 2

    def test_an_early_answer_under_tls_is_seen_at_once(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        engine.use(ca=client_tls)
        with Deaf(REFUSED, tls=server_tls) as far:
            began = time.monotonic()
            assert engine.send(f"https://localhost:{far.port}", Timeouts(first=3), content=LARGE).status == 401
            assert time.monotonic() - began < 2

    def test_a_connection_that_was_answered_early_serves_no_other_request(self, engine: Engine) -> None:
        with Deaf(REFUSED) as far:
            for _ in range(2):
                assert engine.send(f"http://127.0.0.1:{far.port}", content=LARGE).status == 401
            assert _settles(lambda: (len(far._sockets), engine.turn() or _held(far.port)) == (2, 0))

    @pytest.mark.parametrize("size", [2, 200_000, 300_000, 8_000_000])
    def test_a_connection_that_was_answered_early_under_tls_is_not_held_until_the_far_end_says_goodbye(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, size: int
    ) -> None:
        engine.use(ca=client_tls)
        refused = REFUSED.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        with Deaf(refused, tls=server_tls) as far:
            assert engine.send(f"https://localhost:{far.port}", content=b"x" * size).status == 401
            assert _settles(lambda: engine.turn() or _held(far.port) == 0)

    def test_a_connection_under_tls_is_closed_with_a_goodbye(
        self, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        def serve(listener: socket.socket) -> bytes:
            raw = listener.accept()[0]
            # A connection that ends without the goodbye of TLS is an error here.
            with server_tls.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as sock:
                sock.settimeout(3)
                sock.recv(1000)
                sock.sendall(REFUSED.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
                return sock.recv(1000)

        async def main(port: int) -> None:
            transport = Transport(ca=client_tls)
            await transport.asend(HttpRequest(f"https://localhost:{port}", {}), FAST)

        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
            served = pool.submit(serve, listener)
            asyncio.run(main(listener.getsockname()[1]))
            assert served.result(5) == b""

    def test_an_informational_answer_does_not_end_the_sending_of_a_body(self, engine: Engine) -> None:
        early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        with Deaf(early, then=OK) as far:
            assert engine.send(f"http://127.0.0.1:{far.port}", content=LARGE).status == 200
        assert far.received >= len(LARGE)

    def test_a_large_body_arrives_whole_under_tls(
        self, engine: Engine, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        engine.use(ca=client_tls)
        content = os.urandom(3_000_000)
        with FarEnd(answer(), tls=server_tls) as far:
            engine.send(far.url, content=content)
        assert far.requests[0].body == content

    def test_a_call_that_times_out_while_sending_leaves_no_connection_open(self, engine: Engine) -> None:
        with Deaf() as far:
            for _ in range(3):
                with pytest.raises(errors.Timeout):
                    engine.send(f"http://127.0.0.1:{far.port}", Timeouts(first=0.1), content=LARGE)
            assert _settles(lambda: (len(far._sockets), engine.turn() or _held(far.port)) == (3, 0))

    def test_closing_does_not_wait_for_a_body_that_nobody_reads(self) -> None:
        async def main(url: str) -> None:
            transport = Transport()
            call = asyncio.create_task(transport.asend(HttpRequest(url, {}, LARGE), Timeouts(first=3)))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            # Not wait_for's own verdict: aiohttp swallows the cancellation.
            await asyncio.wait_for(transport.aclose(), 1)
            assert time.monotonic() - began < 0.9
            with pytest.raises(errors.StreamClosed):
                await call

        with Deaf() as far:
            asyncio.run(main(f"http://127.0.0.1:{far.port}"))


def _settles(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 2
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()
