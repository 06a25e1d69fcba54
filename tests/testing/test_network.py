"""The block on the network."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from genkit.testing import loopback_only

Failed = pytest.fail.Exception


@pytest.fixture
def blocked():
    with loopback_only():
        yield


def listener(family, host):
    try:
        server = socket.socket(family)
        server.bind((host, 0))
    except OSError:
        pytest.skip(f"this machine has no {host}")
    server.listen()
    return server


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_loopback_works(blocked, family, host):
    with listener(family, host) as server, socket.create_connection(server.getsockname()[:2], timeout=5) as client:
        assert client.getpeername()[0] == host


def test_localhost_is_found(blocked):
    assert socket.getaddrinfo("localhost", 80)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_unix_sockets_work(blocked, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


def test_pairs_of_sockets_and_event_loops_work(blocked):
    async def work():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()

    asyncio.run(work())


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("192.0.2.1", 443)),
        (socket.AF_INET, ("example.com", 443)),
        (socket.AF_INET6, ("2001:db8::1", 443, 0, 0)),
    ],
)
def test_a_connection_elsewhere_fails_the_test_and_names_the_host(blocked, method, family, address):
    with socket.socket(family) as sock, pytest.raises(Failed, match=rf"'{address[0]}', port 443, was refused"):
        getattr(sock, method)(address)


def test_a_datagram_elsewhere_fails_the_test(blocked):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(Failed, match=r"192\.0\.2\.1"):
            sock.sendto(b"x", ("192.0.2.1", 53))
        with pytest.raises(Failed, match=r"192\.0\.2\.1"):
            sock.sendto(b"x", 0, ("192.0.2.1", 53))


def test_a_datagram_on_this_machine_arrives(blocked):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        two.bind(("127.0.0.1", 0))
        one.sendto(b"x", two.getsockname())
        assert two.recv(1) == b"x"


@pytest.mark.parametrize("look_up", ["gethostbyname", "gethostbyname_ex", "gethostbyaddr"])
def test_a_look_up_of_another_name_fails_the_test_and_says_what_to_do(blocked, look_up):
    with pytest.raises(Failed, match=r"name 'example\.com' was refused: .*127\.0\.0\.1"):
        getattr(socket, look_up)("example.com")


def test_getaddrinfo_of_another_name_fails_the_test(blocked):
    with pytest.raises(Failed, match="example"):
        socket.getaddrinfo(b"api.example.com", 443)


def test_code_that_catches_every_exception_cannot_hide_it(blocked):
    def careless():
        try:
            socket.create_connection(("192.0.2.1", 443), timeout=1)
        except Exception:  # noqa: BLE001  # what is tested
            return "hidden"

    with pytest.raises(Failed):
        careless()


def test_other_threads_and_event_loops_are_blocked_too(blocked):
    found = []

    def work():
        try:
            asyncio.run(asyncio.wait_for(_connect(), 5))
        except BaseException as error:  # noqa: BLE001  # what is tested
            found.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert found == [Failed]


async def _connect():
    await asyncio.open_connection("192.0.2.1", 443)


def test_everything_is_as_before_afterwards():
    before = {name: socket.socket.__dict__.get(name) for name in ("connect", "connect_ex", "sendto", "sendmsg")}
    look_up = socket.getaddrinfo
    with loopback_only():
        assert socket.getaddrinfo is not look_up
    after = {name: socket.socket.__dict__.get(name) for name in ("connect", "connect_ex", "sendto", "sendmsg")}
    assert (after, socket.getaddrinfo) == (before, look_up)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "::ffff:127.0.0.1", "127.8.9.10", "LOCALHOST.", "a.localhost", None, ""]
)
def test_names_of_this_machine_are_let_through(host):
    from genkit.testing.network import _here

    assert _here(host)


@pytest.mark.parametrize(
    "host", ["::ffff:8.8.8.8", "10.0.0.1", "localhost.example.com", "notlocalhost", "127.0.0.1.nip.io"]
)
def test_names_that_look_like_this_machine_are_not(host):
    from genkit.testing.network import _here

    assert not _here(host)
