"""API keys and other credentials inside a text, known by their form, and by their checksum where they have one.

Each form begins with a text that is looked for first, and is only tried where a word begins: so a text of any kind is
read in time that grows with its length.
"""

import base64
import binascii
import json
import re
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
CHECKSUM_LENGTH = 6  # 62^6 > 2^32

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SecretForm:
    """One kind of credential. hint: a text that each of them holds. The first group is the secret, where there is one.

    is_real: whether a text of this form is a credential indeed.
    """

    hint: str
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = lambda secret: True


def find_secrets(text: str, forms: tuple[SecretForm, ...]) -> Iterator[Span]:
    """Where credentials of these forms stand, one form after the other."""
    for form in forms:
        if form.hint in text:
            for match in form.pattern.finditer(text):
                if form.is_real(match[0]):
                    yield match.span(match.re.groups)


def write_checksum(text: str) -> str:
    """CRC-32 in base 62, six digits: the end of GitHub's tokens and of our own keys.

    https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
    """
    number, digits = zlib.crc32(text.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _has_github_checksum(token: str) -> bool:
    """Over what stands between the prefix and the checksum. A form that is longer is newer, and taken as it is."""
    secret = token.partition("_")[2]
    return len(secret) > 36 or secret[30:] == write_checksum(secret[:30])


def _has_own_checksum(token: str) -> bool:
    body, _, checksum = token.rpartition("_")
    return checksum == write_checksum(body)


def _is_provider_key(token: str) -> bool:
    """`sk-` begins a model provider's key and many an innocent name: a key has a long part of random characters."""
    return bool(LABELLED_PROVIDER_KEY.match(token) or RANDOM_PART.search(token))


def _is_jwt(token: str) -> bool:
    """Whether the first part is the header of a JSON Web Token (RFC 7515, 7516): an object that names its `alg`."""
    header = token.partition(".")[0]
    try:
        document = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(document, dict) and "alg" in document


GITHUB_PREFIXES = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")
LABELLED_PROVIDER_KEY = re.compile(r"sk-(?:ant|proj|svcacct|admin|or|lf)-")
RANDOM_PART = re.compile(r"(?=[A-Za-z]{0,19}[0-9])[A-Za-z0-9]{20}", re.ASCII)


def _form(prefix: str, rest: str, is_real: Callable[[str], bool] = lambda secret: True) -> SecretForm:
    """What begins with a prefix where no letter or digit stands before it; `rest` is a pattern."""
    return SecretForm(prefix, re.compile(rf"(?<![A-Za-z0-9]){re.escape(prefix)}{rest}", re.ASCII), is_real)


# A key without its end is cut off where its text ends: lines of base64 have no spaces.
PRIVATE_KEYS = (
    SecretForm(
        "PRIVATE KEY",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{1,70}-----|(?:(?:\s|\\[rn])*+[A-Za-z0-9+/=]{16,}+)*+)"
        ),
    ),
)
JSON_WEB_TOKENS = (
    SecretForm(
        "eyJ",
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}+(?:\.[A-Za-z0-9_-]*+){2,4}", re.ASCII),
        _is_jwt,
    ),
)
API_KEYS = (
    _form("tl_", r"[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}(?![0-9A-Za-z])", _has_own_checksum),
    *(_form(prefix, r"[A-Za-z0-9]{36,}+", _has_github_checksum) for prefix in GITHUB_PREFIXES),
    _form("github_pat_", r"[A-Za-z0-9_]{40,}+"),
    _form("glpat-", r"[A-Za-z0-9_.-]{20,}+"),
    _form("npm_", r"[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _form("pypi-AgE", r"[A-Za-z0-9_-]{40,}+"),
    _form("sk-", r"[A-Za-z0-9_-]{20,}+", _is_provider_key),
    _form("gsk_", r"[A-Za-z0-9]{40,}+"),
    _form("xai-", r"[A-Za-z0-9]{40,}+"),
    _form("pplx-", r"[A-Za-z0-9]{40,}+"),
    _form("hf_", r"[A-Za-z0-9]{30,}+"),
    _form("r8_", r"[A-Za-z0-9]{37}(?![A-Za-z0-9])"),
    _form("AIza", r"[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    _form("ya29.", r"[A-Za-z0-9_-]{20,}+"),
    _form("GOCSPX-", r"[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])"),
    *(_form(prefix, r"[A-Z2-7]{16}(?![A-Za-z0-9])") for prefix in ("AKIA", "ASIA", "ABIA", "ACCA")),
    SecretForm(
        "ecret",
        re.compile(
            r"(?i:aws)?_?(?i:secret)_?(?i:access)_?(?i:key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?"
            r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
            re.ASCII,
        ),
    ),
    _form("xox", r"[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}+"),
    _form("xapp-", r"[A-Za-z0-9-]{10,}+"),
    _form("hooks.slack.com/", r"(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}+"),
    *(_form(prefix, r"(?:live|test)_[A-Za-z0-9]{16,}+") for prefix in ("sk_", "rk_")),
    _form("whsec_", r"[A-Za-z0-9+/=]{24,}+"),
    _form("SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    _form("dapi", r"[0-9a-f]{32}(?![A-Za-z0-9])"),
    *(_form(prefix, r"[0-9a-f]{64}(?![A-Za-z0-9])") for prefix in ("dop_v1_", "doo_v1_", "dor_v1_")),
    *(_form(prefix, r"([A-Za-z0-9._~+/-]{20,}+=*+)") for prefix in ("Bearer ", "bearer ")),
)
