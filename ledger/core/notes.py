"""Signed notes and the checkpoints of trees, as C2SP defines them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).

A note is a text, an empty line, and a line for each signature: an em dash, the key's name, and base64 of the key's
number and its signature. A checkpoint is a note whose text is the tree's origin, its size and its root. Signing is the
caller's: no key comes here.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

NOTE_LENGTH_MAX = 100_000
SIGNATURES_MAX = 100
HASH_BYTES = 32
KEY_NUMBER_BYTES = 4
ED25519 = b"\x01"  # the signature's type
_DASH = "— "
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")

Sign = Callable[[bytes], bytes]  # a text to its Ed25519 signature
Verify = Callable[[bytes, bytes, bytes], bool]  # public key, signature, text


class NoteInvalid(ValueError):
    """Not a note, not a checkpoint, or not signed by a key that is known; the text says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree's head: the first `size` leaves of the tree called `origin` have this root."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose name it says, the key's number (4 bytes), and the 64 bytes."""

    name: str
    key_number: bytes
    signature: bytes


def number_key(name: str, public_key: bytes) -> bytes:
    """The four bytes by which a signature line says which key of this name signed."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:KEY_NUMBER_BYTES]


def write_vkey(name: str, public_key: bytes) -> str:
    """The key as tools for signed notes take it."""
    return f"{name}+{number_key(name, public_key).hex()}+{_encode(ED25519 + public_key)}"


def write_checkpoint(checkpoint: Checkpoint) -> str:
    """The text of a checkpoint, before it is signed."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{_encode(checkpoint.root)}\n"


def sign_note(text: str, *, name: str, public_key: bytes, sign: Sign) -> str:
    """A text with one signature. Raises NoteInvalid for a name or a text that no note may have."""
    if not _NAME.fullmatch(name):
        raise NoteInvalid(f"{name!r} is no key's name")
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteInvalid("a note's text ends with a line break and has no other control characters")
    return f"{text}\n{_DASH}{name} {_encode(number_key(name, public_key) + sign(text.encode()))}\n"


def sign_checkpoint(checkpoint: Checkpoint, *, public_key: bytes, sign: Sign) -> str:
    """A checkpoint as a signed note; the key goes by the tree's origin."""
    return sign_note(write_checkpoint(checkpoint), name=checkpoint.origin, public_key=public_key, sign=sign)


def read_note(note: str) -> tuple[str, tuple[Signature, ...]]:
    """A note's text and signatures, none of them verified. Raises NoteInvalid."""
    if len(note) > NOTE_LENGTH_MAX:
        raise NoteInvalid(f"longer than {NOTE_LENGTH_MAX} characters")
    if _CONTROL.search(note):
        raise NoteInvalid("control characters")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteInvalid("no text with signatures below an empty line")
    signatures = tuple(_read_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > SIGNATURES_MAX:
        raise NoteInvalid(f"more than {SIGNATURES_MAX} signatures")
    return f"{text}\n", signatures


def _read_signature(line: str) -> Signature:
    dash, name, encoded = line[: len(_DASH)], *(line[len(_DASH) :].split(" ") + ["", ""])[:2]
    if dash != _DASH or not _NAME.fullmatch(name) or line.count(" ") != 2:
        raise NoteInvalid(f"{line[:80]!r} is no signature line")
    data = _decode(encoded)
    if len(data) <= KEY_NUMBER_BYTES:
        raise NoteInvalid(f"{line[:80]!r} holds no signature")
    return Signature(name, data[:KEY_NUMBER_BYTES], data[KEY_NUMBER_BYTES:])


def verify_note(note: str, *, name: str, public_keys: Iterable[bytes], verify: Verify) -> str:
    """The text of a note that one of these keys signed under this name. Raises NoteInvalid.

    Signatures of other keys are passed over, as the specification says; a wrong one of a known key refuses the note.
    """
    text, signatures = read_note(note)
    known = {number_key(name, public_key): public_key for public_key in public_keys}
    is_signed = False
    for line in signatures:
        public_key = known.get(line.key_number) if line.name == name else None
        if public_key is None:
            continue
        if not verify(public_key, line.signature, text.encode()):
            raise NoteInvalid(f"the signature of {name} is wrong")
        is_signed = True
    if not is_signed:
        raise NoteInvalid(f"no known key signed it as {name}")
    return text


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text states. Raises NoteInvalid; lines of extensions are none of ours."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise NoteInvalid("a checkpoint has three lines: origin, size, root")
    origin, size, encoded = lines[:3]
    root = _decode(encoded)
    if not origin or not _SIZE.fullmatch(size) or len(root) != HASH_BYTES:
        raise NoteInvalid("a checkpoint's lines are an origin, a size and a root of 32 bytes")
    return Checkpoint(origin, int(size), root)


def verify_checkpoint(note: str, *, origin: str, public_keys: Iterable[bytes], verify: Verify) -> Checkpoint:
    """The checkpoint of this origin that one of these keys signed. Raises NoteInvalid."""
    checkpoint = read_checkpoint(verify_note(note, name=origin, public_keys=public_keys, verify=verify))
    if checkpoint.origin != origin:
        raise NoteInvalid(f"it is of {checkpoint.origin}, not of {origin}")
    return checkpoint


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    """Base64 as the specification writes it, and no second spelling of the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid(f"{text[:80]!r} is no base64") from None
    if _encode(data) != text:
        raise NoteInvalid(f"{text[:80]!r} is no base64")
    return data
