"""GET /.well-known/tokenledger-keys: the public keys by which receipts are checked."""

import base64

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.schema import describe_call
from ledger.receipts import load_receipt_key


class PublicKeys(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="list_public_keys",
        summary="The public keys that sign receipts",
        description="A JSON Web Key Set (RFC 7517, RFC 8037). A receipt's `kid` names its key.",
        tag="proof",
        needs_key=False,
        answers={200: "PublicKeys"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        key = load_receipt_key()
        x = base64.urlsafe_b64encode(key.public_key).rstrip(b"=").decode()
        return Response({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": key.key_id, "x": x}]})
