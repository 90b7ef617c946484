"""GET /v1/audit/checkpoint, /checkpoint/{size}, /consistency, and the log's own: signed heads, and what joins them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import NUMBER_MAX, Parameter, read_query, read_whole
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from ledger.sealing.proofs import (
    LogProof,
    SignedCheckpoint,
    get_checkpoint,
    get_head,
    get_log_head,
    hash_log,
    hash_tree,
    prove_consistency,
    prove_log_consistency,
    prove_logged,
)

SIZE_SCHEMA = {"type": "integer", "minimum": 1, "maximum": NUMBER_MAX}
CONSISTENCY_PARAMETERS = (
    Parameter("from", read_whole(1, NUMBER_MAX), "A size of the tree.", SIZE_SCHEMA, is_required=True),
    Parameter("to", read_whole(1, NUMBER_MAX), "A later one; the newest checkpoint's unless named.", SIZE_SCHEMA),
)
NOT_SIGNED = "No checkpoint of this tenant has this size."
NOTHING_PUBLISHED = "No head of the log is published yet."
NOTHING_SEALED = "Nothing of this tenant is sealed yet: a batch is within seconds of its booking."


class NewestCheckpoint(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_newest_checkpoint",
        summary="The newest signed head of the tenant's tree",
        tag="proof",
        scope=required_scope,
        answers={200: "Checkpoint"},
        problems=["checkpoint_unknown", "query_invalid", "tree_torn"],
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response(write_checkpoint(require_head(request.auth.tenant_id), tenant_id=request.auth.tenant_id))


class CheckpointOfSize(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_checkpoint",
        summary="The signed head over so many batches",
        tag="proof",
        scope=required_scope,
        answers={200: "Checkpoint"},
        problems=["checkpoint_unknown", "query_invalid", "tree_torn"],
    )
    def get(self, request: Request, size: int) -> Response:
        read_query(request.query_params, ())
        tenant_id = request.auth.tenant_id
        found = get_checkpoint(tenant_id=tenant_id, size=size) if 0 < size <= NUMBER_MAX else None
        if found is None:
            raise Problem("checkpoint_unknown", NOT_SIGNED)
        return Response(write_checkpoint(found, tenant_id=tenant_id))


class Consistency(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="prove_consistency",
        summary="That the tenant's tree only grew between two sizes",
        description="Whoever keeps a checkpoint proves with this that nothing under it was changed or dropped since.",
        tag="proof",
        scope=required_scope,
        parameters=CONSISTENCY_PARAMETERS,
        answers={200: "Consistency"},
        problems=["checkpoint_unknown", "tree_torn"],
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, CONSISTENCY_PARAMETERS)
        tenant_id = request.auth.tenant_id
        old_size, new_size = read_sizes(values, newest=require_head(tenant_id).size)
        return Response(
            {
                "from": old_size,
                "to": new_size,
                "from_root": hash_tree(tenant_id=tenant_id, size=old_size).hex(),
                "to_root": hash_tree(tenant_id=tenant_id, size=new_size).hex(),
                "path": write_path(prove_consistency(tenant_id=tenant_id, old_size=old_size, new_size=new_size)),
            }
        )


class LogCheckpoint(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_log_checkpoint",
        summary="The published head of the log of all tenants' checkpoints",
        description="A signed note (C2SP tlog-checkpoint), published once a minute at most. Keep it: what was signed "
        "under it cannot be denied any more.",
        tag="proof",
        needs_key=False,
        answers={(200, "text/plain"): {"type": "string"}},
        problems=["checkpoint_unknown", "query_invalid"],
    )
    def get(self, request: Request) -> HttpResponse:
        read_query(request.query_params, ())
        head = get_log_head()
        if head is None:
            raise Problem("checkpoint_unknown", NOTHING_PUBLISHED)
        return HttpResponse(head.note, content_type="text/plain; charset=utf-8")


class LogConsistency(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="prove_log_consistency",
        summary="That the log of all tenants' checkpoints only grew between two sizes",
        description="For whoever keeps published heads. `to` is the newest one's size unless named.",
        tag="proof",
        needs_key=False,
        parameters=CONSISTENCY_PARAMETERS,
        answers={200: "Consistency"},
        problems=["checkpoint_unknown", "tree_torn"],
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, CONSISTENCY_PARAMETERS)
        head = get_log_head()
        if head is None:
            raise Problem("checkpoint_unknown", NOTHING_PUBLISHED)
        old_size, new_size = read_sizes(values, newest=head.size)
        return Response(
            {
                "from": old_size,
                "to": new_size,
                "from_root": hash_log(size=old_size).hex(),
                "to_root": hash_log(size=new_size).hex(),
                "path": write_path(prove_log_consistency(old_size=old_size, new_size=new_size)),
            }
        )


def read_sizes(values: Mapping[str, Any], *, newest: int) -> tuple[int, int]:
    """`from` and `to` of CONSISTENCY_PARAMETERS. Raises Problem `query_invalid`."""
    old_size, new_size = values["from"], values["to"] or newest
    if not old_size <= new_size <= newest:
        raise Problem(
            "query_invalid",
            f"from is at most to, and to at most {newest}, the size of the newest checkpoint.",
            problems=[{"field": "from" if old_size > new_size else "to", "detail": "out of range"}],
        )
    return old_size, new_size


def write_path(path: Sequence[bytes]) -> list[str]:
    return [node.hex() for node in path]


def require_head(tenant_id: int) -> SignedCheckpoint:
    """The newest checkpoint. Raises Problem `checkpoint_unknown` before the first."""
    head = get_head(tenant_id=tenant_id)
    if head is None:
        raise Problem("checkpoint_unknown", NOTHING_SEALED)
    return head


def write_checkpoint(checkpoint: SignedCheckpoint, *, tenant_id: int) -> dict[str, Any]:
    """A checkpoint and its place in the log, hashes as hexadecimal."""
    logged = prove_logged(tenant_id=tenant_id, size=checkpoint.size)
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signed_at": write_time(checkpoint.signed_at),
        "key_id": checkpoint.key_id,
        "note": checkpoint.note,
        "log": write_log_proof(logged) if logged else None,
    }


def write_log_proof(proof: LogProof) -> dict[str, Any]:
    return {
        "leaf": proof.leaf.leaf.hex(),
        "data": proof.leaf.data,
        "leaf_index": proof.leaf.log_index,
        "tree_size": proof.head.size,
        "path": write_path(proof.path),
        "root": proof.head.root.hex(),
        "note": proof.head.note,
    }
