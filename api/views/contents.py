"""/v1/content: a prompt and its completion in, a digest out; and the same again for those who may read it."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import read_query
from api.parsing.bodies import JSON, read_body
from api.parsing.contents import read_content_request
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from billing.contents import discard_content
from content.contents import (
    ContentConflict,
    ContentDeleted,
    ContentOff,
    keep_content,
    read_content,
)
from content.selectors import LoggedContent


class Contents(APIView):
    required_scope = "ingest"

    @describe_call(
        operation_id="post_content",
        summary="Keep a prompt and its completion",
        description=(
            "Off unless the tenant turned it on. Send it redacted; it is redacted again, and kept for the tenant's "
            "days. At most 1 MB. Put the `content_digest` of the answer into the event. The same again answers the "
            "same."
        ),
        tag="booking",
        scope=required_scope,
        request={JSON: refer("Content")},
        answers={200: "KeptContent"},
        problems=(
            "query_invalid", "body_empty", "body_malformed", "body_incomplete", "body_too_large",
            "content_type_unknown", "content_encoding_unknown", "content_off", "content_invalid", "content_conflict",
            "content_deleted",
        ),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        body = read_body(request._request)
        if (request._request.content_type or "").lower() != JSON:
            raise Problem("content_type_unknown", f"Send {JSON}.")
        wanted = read_content_request(body)
        try:
            kept = keep_content(
                tenant_id=access.tenant_id,
                api_key_id=access.key_id,
                event_source=wanted.event_source,
                event_id=wanted.event_id,
                input=wanted.input,
                output=wanted.output,
                now=timezone.now(),
            )
        except ContentOff:
            raise Problem(
                "content_off",
                f"Nothing was kept. To turn it on: manage.py log_content {access.slug} --days 30.",
            ) from None
        except ContentConflict:
            raise Problem(
                "content_conflict", f"The event {wanted.event_id!r} has another prompt or completion already."
            ) from None
        except ContentDeleted:
            raise Problem("content_deleted", "It was deleted on request, and is not taken again.") from None
        return Response(
            {
                "content_digest": kept.content.digest,
                "status": "kept" if kept.is_new else "duplicate",
                "kept_until": write_time(kept.content.kept_until),
                "redactions": kept.content.redactions,
            }
        )


class ContentDetail(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="get_content",
        summary="One prompt and its completion, as kept",
        description="That it was read, when, and by which key is kept for the tenant's owners to see.",
        tag="reading",
        scope=required_scope,
        answers={200: "LoggedContent"},
        problems=("query_invalid", "content_unknown"),
    )
    def get(self, request: Request, digest: str) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        content = read_content(
            tenant_id=access.tenant_id, digest=digest, reader=f"key {access.key_id}", now=timezone.now()
        )
        if content is None:
            raise Problem("content_unknown", "None of this digest is kept; what was may have been deleted.")
        return Response(write_content(content))

    @describe_call(
        operation_id="delete_content",
        summary="Delete a prompt and its completion before their time",
        description="The ledger entry keeps the digest. The same event's content is not taken again.",
        tag="booking",
        scope=required_scope,
        answers={200: "DeletedContent"},
        problems=("query_invalid", "content_unknown"),
    )
    def delete(self, request: Request, digest: str) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        if not discard_content(tenant_id=access.tenant_id, digest=digest, actor=access.actor, now=timezone.now()):
            raise Problem("content_unknown", "None of this digest is kept; what was may have been deleted.")
        return Response({"content_digest": digest, "status": "deleted"})


def write_content(content: LoggedContent) -> dict[str, Any]:
    """A kept content; `canonical` is the text whose SHA-256 is the digest."""
    document = content.document
    return {
        "content_digest": content.digest,
        "id": content.event_id,
        "source": content.event_source,
        "received_at": write_time(content.received_at),
        "kept_until": write_time(content.kept_until),
        "key": content.api_key_id,
        "redactions": content.redactions,
        "is_intact": content.is_intact,
        "input": document["input"],
        "output": document["output"],
        "canonical": content.body.decode(),
    }
