"""SMTP with one deadline for the whole of a mail: a relay that drips its answers byte by byte gets no more time."""

import smtplib
import socket
import time
from functools import partial
from io import BufferedReader, RawIOBase
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from alerts.addresses import CONNECT_SECONDS, resolve_in_time

LATE = "the relay took too long"


class Relay(EmailBackend):
    """The mail relay of the settings EMAIL_*, for one mail. deadline: by time.monotonic()."""

    def __init__(self, *, deadline: float) -> None:
        super().__init__(timeout=CONNECT_SECONDS)
        self.deadline = deadline

    @property
    def connection_class(self) -> Any:
        return partial(_Connection, deadline=self.deadline)


class _Connection(smtplib.SMTP):
    """Each step waits for what is left until the deadline, and no reply starts the clock anew."""

    def __init__(self, *arguments: Any, deadline: float, **options: Any) -> None:
        self.deadline = deadline
        super().__init__(*arguments, **options)

    def find_left(self) -> float:
        """The seconds until the deadline. Raises what smtplib raises of a relay that went away."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise smtplib.SMTPServerDisconnected(LATE)
        return left

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        addresses = resolve_in_time(host, port)
        for address in addresses[:-1]:
            try:
                return socket.create_connection((address, port), min(timeout, self.find_left()))
            except OSError:
                continue
        return socket.create_connection((addresses[-1], port), min(timeout, self.find_left()))

    def send(self, s: Any) -> None:
        if self.sock:
            self.sock.settimeout(self.find_left())
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = BufferedReader(_Replies(self))
        return super().getreply()


class _Replies(RawIOBase):
    """What the relay says."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        sock = self.connection.sock
        sock.settimeout(self.connection.find_left())
        try:
            return sock.recv_into(buffer)
        except TimeoutError:
            raise TimeoutError(LATE) from None
