"""Receivers on the loopback interface: a web server that answers as told, a mail server, certificates of our own."""

import contextlib
import socketserver
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """answers: a status each, the last one for ever; "hang": nothing is answered; "drip": byte by byte, for ever."""

    answers: list = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    port: int = 0
    location: str = ""
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secret-path"

    def next_answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def receive_http(*answers, port=0, tls=None):
    """A web server for the length of a block. tls: an SSL context."""
    receiver = Receiver(list(answers) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = receiver.next_answer()
            if answer == "hang":
                receiver.release.wait(60)
                return
            if answer == "drip":
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    for _ in range(600):
                        self.wfile.write(b"X")
                        self.wfile.flush()
                        time.sleep(0.1)
                return
            self.send_response(answer)
            if 300 <= answer < 400:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_HEAD = do_PUT = do_POST

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        server.server_close()


class MailBox:
    """A handler of aiosmtpd that keeps what comes, or refuses it."""

    def __init__(self):
        self.envelopes, self.refusals = [], []

    async def handle_DATA(self, server, session, envelope):
        if self.refusals:
            return self.refusals.pop(0)
        self.envelopes.append(envelope)
        return "250 Message accepted for delivery"


@contextlib.contextmanager
def receive_mail(port, *, tls=None):
    """An SMTP server for the length of a block. tls: an SSL context, without which nothing is said after STARTTLS."""
    box = MailBox()
    options = {"tls_context": tls, "require_starttls": True} if tls else {}
    controller = Controller(box, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@contextlib.contextmanager
def stall_mail(stage, port=0):
    """A relay that at one stage (greeting, EHLO, DATA, ".", QUIT) says a byte each 50 ms, without end; its port."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, at, words):
            if at == stage:
                for _ in range(1_200):
                    self.wfile.write(b"2")
                    time.sleep(0.05)
            self.wfile.write(f"{words}\r\n".encode())

        def handle(self):
            with contextlib.suppress(OSError):
                self.say("greeting", "220 relay")
                while line := self.rfile.readline():
                    command = line.split()[0].upper().decode()
                    if command == "DATA":
                        self.say("DATA", "354 go on")
                        while self.rfile.readline() not in (b".\r\n", b""):
                            pass
                        command = "."
                    self.say(command, "221 bye" if command == "QUIT" else "250 well")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def make_certificate(folder, name):
    """A certificate for a name, signed by itself: its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
