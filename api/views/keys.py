"""GET /.well-known/tokenledger-keys: the public keys that sign receipts and checkpoints, and those that did."""

import base64
import json
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.renderers import write_time
from api.schema import describe_call
from ledger.core.notes import write_vkey
from ledger.receipts import load_receipt_key
from ledger.sealing.keys import RECEIPT, SEAL, AnnouncedKey, list_announced_keys
from ledger.sealing.proofs import get_log_head


class PublicKeys(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="list_public_keys",
        summary="The public keys that sign receipts and checkpoints, and those that did",
        description="A JSON Web Key Set (RFC 7517, RFC 8037). A receipt's `kid` names its key. Each key after the "
        "first of its purpose is announced by a statement that it and the key before it signed.",
        tag="proof",
        needs_key=False,
        answers={200: "PublicKeys"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        announced = list_announced_keys()
        keys = [write_key(key.public_key, key.key_id, key.purpose, announced=key) for key in announced]
        own = load_receipt_key()
        if own.key_id not in {key.key_id for key in announced}:
            keys.append(write_key(own.public_key, own.key_id, RECEIPT))
        return Response({"keys": keys, "log": _describe_log(announced)})


def write_key(public_key: bytes, key_id: str, purpose: str, *, announced: AnnouncedKey | None = None) -> dict[str, Any]:
    """A JSON Web Key, with its announcement where there is one."""
    x = base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": key_id,
        "x": x,
        "purpose": purpose,
        "announced_at": write_time(announced.announced_at) if announced else None,
        "announcement": json.loads(announced.announcement) if announced else None,
    }


def _describe_log(announced: list[AnnouncedKey]) -> dict[str, Any] | None:
    """The log's name and its keys; None before its first head."""
    head = get_log_head()
    if head is None:
        return None
    origin = head.note.partition("\n")[0]
    return {
        "origin": origin,
        "vkeys": [write_vkey(origin, key.public_key) for key in announced if key.purpose == SEAL],
    }
