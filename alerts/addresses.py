"""Requests to addresses that a tenant named: what they may reach, checked on the address that is connected to.

A name is resolved once, each of its addresses is judged, and the connection goes to one of those that were judged: a
name that leads elsewhere a moment later leads nowhere. TLS is still verified against the name. Redirects are not
followed, no proxy of the environment is used, and the whole of an attempt has one deadline.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as ResolvingTooLong
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore2
from django.conf import settings

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 15.0
ANSWER_BYTES_MAX = 4_096
# Public by their number, and a cloud's own services all the same; or reserved since Python's list was made.
REFUSED_NETWORKS = tuple(map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48")))
NAT64 = IPv6Network("64:ff9b::/96")

Resolver = Callable[[str, int], list[str]]


class AddressRefused(ValueError):
    """Where nothing is sent to, whoever asks; the text says why and what to do."""


class RequestFailed(RuntimeError):
    """No answer: not resolved, not connected, no valid certificate, or not in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status, the headers by small letters, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    text: str


def judge_address(address: str, *, is_encrypted: bool) -> None:
    """Raises AddressRefused for an address that is not public, unless it is of the setting ALERT_NETWORKS."""
    plain = ip_address(address.partition("%")[0])
    inner = _unwrap(plain)
    if _is_within(inner, map(ip_network, settings.ALERT_NETWORKS)):
        return
    if not inner.is_global or inner.is_multicast or _is_within(inner, REFUSED_NETWORKS):
        raise AddressRefused(f"{plain} is no public address; a network of one's own is named in ALERT_NETWORKS")
    if not is_encrypted:
        raise AddressRefused(f"{plain} is asked without TLS; use https")


def _is_within(address: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one leads to, where it is only a wrapping of it."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def resolve_name(host: str, port: int) -> list[str]:
    """Every address of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def resolve_in_time(host: str, port: int, *, resolve: Resolver = resolve_name) -> Sequence[str]:
    """Not from a cache, so that what is judged is what is connected to now. Raises RequestFailed."""
    try:
        addresses = _make_resolvers().submit(resolve, host, port).result(timeout=CONNECT_SECONDS)
    except ResolvingTooLong:
        raise RequestFailed(f"{host} was not resolved in time") from None
    except (OSError, UnicodeError) as error:
        raise RequestFailed(f"{host} is not resolved ({error})") from error
    if not addresses:
        raise RequestFailed(f"{host} has no address")
    return addresses


@cache
def _make_resolvers() -> ThreadPoolExecutor:
    """getaddrinfo knows no deadline: it waits apart, and who asked goes on."""
    return ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


def post(url: str, *, body: bytes, headers: Mapping[str, str], resolve: Resolver = resolve_name) -> Answer:
    """Send a body to an address and read the beginning of the answer. Raises AddressRefused, RequestFailed."""
    return ask("POST", url, body=body, headers=headers, resolve=resolve)


def ask(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str],
    seconds: float | None = None,
    bytes_max: int = ANSWER_BYTES_MAX,
    resolve: Resolver = resolve_name,
) -> Answer:
    """One request of any method, whole within `seconds`; of the answer the first bytes. Raises as `post` does."""
    seconds = WHOLE_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    backend = _CheckedBackend(is_encrypted=url.startswith("https:"), deadline=deadline, resolve=resolve)
    timeouts = {"connect": CONNECT_SECONDS, "read": seconds, "write": seconds, "pool": CONNECT_SECONDS}
    sent = [(name.encode(), value.encode()) for name, value in {"User-Agent": "Tokenledger", **headers}.items()]
    try:
        with (
            httpcore2.ConnectionPool(ssl_context=_make_tls(), network_backend=backend) as pool,
            pool.stream(method, url, headers=sent, content=body, extensions={"timeout": timeouts}) as response,
        ):
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, told, _read_beginning(response.iter_stream(), bytes_max))
    except httpcore2.TimeoutException as error:
        raise RequestFailed(f"no answer in time ({_say(error)})") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, ssl.SSLError, OSError) as error:
        raise RequestFailed(_say(error)) from error


def _read_beginning(stream: Iterable[bytes], bytes_max: int) -> str:
    """As much of an answer as tells what went wrong; what comes after it is not read."""
    kept = b""
    for chunk in stream:
        kept += chunk
        if len(kept) >= bytes_max:
            break
    return kept[:bytes_max].decode(errors="replace")


def _say(error: Exception) -> str:
    """The reason in a line: TLS libraries speak at length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]


@cache
def _make_tls() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE; the name is checked."""
    return ssl.create_default_context()


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to an address that was judged, and lets nothing take longer than until the deadline."""

    def __init__(self, *, is_encrypted: bool, deadline: float, resolve: Resolver) -> None:
        self.is_encrypted, self.deadline, self.resolve = is_encrypted, deadline, resolve
        self.sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = resolve_in_time(host, port, resolve=self.resolve)
        for address in addresses:
            judge_address(address, is_encrypted=self.is_encrypted)
        for address in addresses[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return self._connect(address, port, timeout, socket_options)
        return self._connect(addresses[-1], port, timeout, socket_options)

    def _connect(
        self, address: str, port: int, timeout: float | None, options: Iterable[httpcore2.SOCKET_OPTION] | None
    ) -> httpcore2.NetworkStream:
        left = _shorten(timeout, self.deadline)
        return _Stream(self.sockets.connect_tcp(address, port, timeout=left, socket_options=options), self.deadline)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends at the deadline: drops of an answer do not make it longer."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self.stream, self.deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _shorten(timeout, self.deadline, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, _shorten(timeout, self.deadline, httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _shorten(timeout, self.deadline)
        return _Stream(self.stream.start_tls(ssl_context, server_hostname, left), self.deadline)

    def close(self) -> None:
        self.stream.close()

    def get_extra_info(self, info: str) -> object:
        return self.stream.get_extra_info(info)


def _shorten(
    timeout: float | None, deadline: float, late: type[httpcore2.TimeoutException] = httpcore2.ConnectTimeout
) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the time for the whole of it is over")
    return left if timeout is None else min(timeout, left)
