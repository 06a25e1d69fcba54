"""A far end on loopback for tests: real sockets, raw bytes, every request recorded.

A script is called once per request, in a thread of its connection, and says byte by byte what comes back::

    def script(call):
        call.head(200, {"content-type": "text/event-stream"})
        call.chunk(b"data: 1\n\n")
        call.end()

    with FarEnd(script) as far:
        ...  # talk to far.url
    assert far.requests[0].body == b"..."

`answer(...)` makes the script of a plain answer. An exception in a script fails the test when the far end is left.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias


@dataclass(slots=True)
class Received:
    """One request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    raw_head: bytes = field(repr=False, default=b"")


class Call:
    """A request and the means to answer it."""

    def __init__(self, far: FarEnd, sock: socket.socket, received: Received) -> None:
        self.far = far
        self.sock = sock
        self.request = received
        self.hung_up = False

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.sock.sendall(data)

    def head(self, status: int = 200, headers: Mapping[str, str] | None = None, *, length: int | None = None) -> None:
        """Send the head of an answer: of `length` bytes, or chunked."""
        lines = [f"HTTP/1.1 {status} Status"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += ["transfer-encoding: chunked" if length is None else f"content-length: {length}"]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        """Send one piece of a chunked body."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """End a chunked body."""
        self.send(b"0\r\n\r\n")

    def answer(self, body: bytes = b"{}", *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.head(status, headers or {"content-type": "application/json"}, length=len(body))
        self.send(body)

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the test or of the connection."""
        self.far.stopping.wait(seconds)

    def hold(self, seconds: float = 10.0) -> None:
        """Send nothing until the other side hangs up or the test ends; `far.hung_up` says that it did."""
        waited = 0.0
        while waited < seconds and not self.far.stopping.is_set():
            readable, _, _ = select.select([self.sock], [], [], 0.01)
            waited += 0.01
            if readable:
                with contextlib.suppress(OSError):
                    if self.sock.recv(65536):
                        continue
                self.far.hung_up.set()
                self.hang_up()
                return

    def drip(self, data: bytes, *, every: float = 0.02, seconds: float = 10.0) -> None:
        """Send the chunk `data` again and again until the other side hangs up; `far.hung_up` says that it did."""
        waited = 0.0
        while waited < seconds and not self.far.stopping.is_set():
            try:
                self.chunk(data)
            except OSError:
                self.far.hung_up.set()
                self.hang_up()
                return
            self.far.stopping.wait(every)
            waited += every

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, with a reset if wanted."""
        self.hung_up = True
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()


Script: TypeAlias = Callable[[Call], None]


def answer(body: bytes = b"{}", *, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """Return a script that gives one whole answer."""
    return lambda call: call.answer(body, status=status, headers=headers)


class FarEnd:
    """A server on 127.0.0.1 that runs a script.

    Args:
        script: Called with each request.
        tls: The context to speak TLS with.

    Attributes:
        requests: Every request, in order of arrival.
        connections: How many connections were accepted.
        hung_up: Set when `hold` or `drip` saw the other side hang up.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Received] = []
        self.connections = 0
        self.stopping = threading.Event()
        self.hung_up = threading.Event()
        self._tls = tls
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets, threads = list(self._sockets), list(self._threads)
        for sock in sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        for sock in sockets:
            sock.close()
        if self._failures and error is None:
            raise self._failures[0]

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of its root, without a slash at the end."""
        scheme, host = ("http", "127.0.0.1") if self._tls is None else ("https", "localhost")
        return f"{scheme}://{host}:{self.port}"

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            return
        with self._lock:
            self._sockets.append(sock)
        reader = sock.makefile("rb")
        try:
            while (received := _receive(reader, number)) is not None:
                self.requests.append(received)
                call = Call(self, sock, received)
                self.script(call)
                if call.hung_up:
                    return
        except OSError:
            return  # the other side is gone, as tests of closing want it
        except BaseException as error:  # noqa: BLE001  # raised again when the far end is left
            self._failures.append(error)
        finally:
            reader.close()
            sock.close()


def _receive(reader: object, number: int) -> Received | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()  # type: ignore[attr-defined]  # a buffered file
        if not line:
            return None
        head += line
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))  # type: ignore[attr-defined]
    return Received(method, target, headers, body, number, head)
