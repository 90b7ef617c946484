"""Signs a request to S3 by AWS Signature Version 4. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html : the tests compute its examples.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


def sign_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body_sha256: str,
    access_key_id: str,
    secret_access_key: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """The headers that a request is sent with: those given, its time, what its body hashes to, and the signature.

    url: its path as it is sent, quoted once (`quote_key`).
    """
    part = urlsplit(url)
    moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    sent = {**headers, "Host": part.netloc, "x-amz-date": moment, "x-amz-content-sha256": body_sha256}
    signed = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    names = ";".join(sorted(signed))
    request = "\n".join((
        method, part.path or "/", _write_query(part.query),
        *(f"{name}:{signed[name]}" for name in sorted(signed)), "", names, body_sha256,
    ))  # fmt: skip
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret_access_key}".encode()
    for step in (moment[:8], region, "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    told = f"{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return sent | {"Authorization": told}


def quote_key(key: str) -> str:
    """An object's name as it stands in an address: everything but letters, digits and -._~/ by its bytes.

    >>> quote_key("tenant=acme/day=1")
    'tenant%3Dacme/day%3D1'
    """
    return quote(key, safe="/-._~")


def _write_query(query: str) -> str:
    pairs = sorted((quote(name, safe="-._~"), quote(value, safe="-._~"))
                   for name, value in parse_qsl(query, keep_blank_values=True))  # fmt: skip
    return "&".join(f"{name}={value}" for name, value in pairs)
