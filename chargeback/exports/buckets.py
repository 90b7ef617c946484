"""A bucket of S3 or of what speaks like it: five calls, each to an address that was judged (`alerts.addresses`).

An object appears when its last byte is acknowledged, a large one when its parts are put together: never half. It is
put only where none of its name is (`If-None-Match`), and asked for beforehand where a server does not know that.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from alerts.addresses import AddressRefused, Answer, RequestFailed, ask
from chargeback.core.export_targets import TargetTerms
from chargeback.core.sigv4 import quote_key, sign_request
from chargeback.exports.places import DayChanged, Keep, PlaceFailed, Standing

PART_BYTES = 8 << 20  # S3's least is 5 MiB, its most parts are 10,000: files up to 80 GiB
REQUEST_SECONDS = 60.0  # a part at 1.2 Mbit/s
READ_BYTES_MAX = 1 << 20
PROBE = "tokenledger-test.json"
EMPTY = hashlib.sha256(b"").hexdigest()
WORDS = {
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret does not belong to the access key",
    "AccessDenied": "the access key may not do this: it needs s3:PutObject, s3:GetObject and s3:ListBucket",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is of another region or endpoint",
    "AuthorizationHeaderMalformed": "the bucket is of another region",
    "RequestTimeTooSkewed": "the clocks of here and there differ by more than a quarter of an hour",
    "SlowDown": "the server asks to come back later",
    "ServiceUnavailable": "the server is not available",
    "NoSuchUpload": "the upload was ended by the server",
}


class Bucket:
    """See `chargeback.exports.places.Place`. credentials: decrypted. clock: a request is signed for its moment."""

    def __init__(
        self,
        terms: TargetTerms,
        credentials: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        seconds: float | None = None,
    ) -> None:
        self.clock, self.seconds = clock, seconds or REQUEST_SECONDS
        bucket, _, prefix = terms.place.partition("/")
        endpoint = terms.endpoint or f"https://s3.{terms.region}.amazonaws.com"
        part = urlsplit(endpoint)
        self.address = f"{endpoint}/{bucket}" if terms.is_path_style else f"{part.scheme}://{bucket}.{part.netloc}"
        self.prefix, self.region, self.credentials = f"{prefix}/" if prefix else "", terms.region, credentials

    def read(self, name: str) -> bytes | None:
        answer = self._ask("GET", name)
        if answer.status == 404 and _read_tag(answer.text, "Code") != "NoSuchBucket":
            return None
        _require_done(answer)
        return answer.text.encode()

    def find(self, name: str) -> Standing | None:
        answer = self._ask("HEAD", name)
        if answer.status == 404:
            return None
        _require_done(answer)
        return Standing(int(answer.headers.get("content-length", 0)), answer.headers.get("x-amz-meta-sha256", ""))

    def put(self, name: str, path: Path, *, sha256: str, keep: Keep) -> None:
        if self.find(name) is not None:
            raise DayChanged(f"{name} is there already")
        if path.stat().st_size <= PART_BYTES:
            self._put_whole(name, path.read_bytes(), sha256)
        else:
            self._put_parts(name, path, sha256, keep)

    def probe(self, content: bytes) -> None:
        _require_done(self._ask("PUT", PROBE, body=content, headers={"Content-Type": "application/json"}))
        if self.read(PROBE) != content:
            raise PlaceFailed("what was written is not what is read again")

    def _put_whole(self, name: str, body: bytes, sha256: str) -> None:
        headers = {"x-amz-meta-sha256": sha256, "If-None-Match": "*"}
        _require_put(self._ask("PUT", name, body=body, headers=headers), name)

    def _put_parts(self, name: str, path: Path, sha256: str, keep: Keep) -> None:
        begun = self._ask("POST", name, query={"uploads": ""}, headers={"x-amz-meta-sha256": sha256})
        _require_done(begun)
        upload = _read_tag(begun.text, "UploadId")
        if not upload:
            raise PlaceFailed("the server began no upload in parts")
        try:
            self._finish_parts(name, upload, self._send_parts(name, path, upload, keep))
        except BaseException:
            with suppress(PlaceFailed):  # the server's own rule for unfinished uploads clears what stays
                self._ask("DELETE", name, query={"uploadId": upload})
            raise

    def _send_parts(self, name: str, path: Path, upload: str, keep: Keep) -> list[str]:
        """The parts' tags, in order."""
        tags: list[str] = []
        with path.open("rb") as file:
            while body := file.read(PART_BYTES):
                query = {"partNumber": str(len(tags) + 1), "uploadId": upload}
                answer = self._ask("PUT", name, query=query, body=body)
                _require_done(answer)
                tags.append(answer.headers.get("etag", ""))
                keep()
        return tags

    def _finish_parts(self, name: str, upload: str, tags: list[str]) -> None:
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            for number, tag in enumerate(tags, start=1)
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        answer = self._ask("POST", name, query={"uploadId": upload}, body=body, headers={"If-None-Match": "*"})
        _require_put(answer, name)
        if code := _read_tag(answer.text, "Code"):  # 200 is said before the parts are put together
            raise PlaceFailed(WORDS.get(code, f"the server says {code}"))

    def _ask(
        self,
        method: str,
        name: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = f"{self.address}/{quote_key(self.prefix + name)}" + (f"?{urlencode(query)}" if query else "")
        length = {"Content-Length": str(len(body))} if method in ("PUT", "POST") else {}
        signed = sign_request(
            method,
            url,
            headers={**(headers or {}), **length},
            body_sha256=hashlib.sha256(body).hexdigest() if body else EMPTY,
            region=self.region,
            now=self.clock(),
            **self.credentials,
        )
        try:
            return ask(method, url, body=body, headers=signed, seconds=self.seconds, bytes_max=READ_BYTES_MAX)
        except (AddressRefused, RequestFailed) as error:
            raise PlaceFailed(str(error)) from error


def _require_put(answer: Answer, name: str) -> None:
    if answer.status == 412:
        raise DayChanged(f"{name} is there already")
    _require_done(answer)


def _require_done(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    code = _read_tag(answer.text, "Code")
    if 300 <= answer.status < 400 and code not in WORDS:
        raise PlaceFailed(f"{answer.status}: redirects are not followed; give the target the address itself")
    if answer.status == 403 and not code:
        raise PlaceFailed("403: the access key is not known, its secret is another one, or it may not do this")
    words = WORDS.get(code) or code or " ".join(answer.text.split())[:200] or "no reason was given"
    raise PlaceFailed(f"{answer.status}: {words}")


def _read_tag(text: str, tag: str) -> str:
    """What one element of a server's XML holds; '' where it is not there."""
    found = re.search(rf"<{tag}>([^<]{{0,1024}})</{tag}>", text)
    return unescape(found[1]) if found else ""
