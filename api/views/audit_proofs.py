"""GET /v1/audit/proof/{entry}, /v1/audit/receipt/{batch}: from a row to the tenant's signed tree."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import NUMBER_MAX, Parameter, read_query, read_whole
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from api.views.audit_checkpoints import NOT_SIGNED, SIZE_SCHEMA, write_checkpoint
from ledger.sealing.proofs import get_checkpoint, get_sealed_batch, prove_batch
from ledger.selectors import get_batch, get_entry, prove_entry

PROOF_PARAMETERS = (
    Parameter(
        "size", read_whole(1, NUMBER_MAX), "Under the checkpoint over so many batches; else the newest.", SIZE_SCHEMA
    ),
)


class EntryProofs(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="prove_entry",
        summary="That an entry is in its batch, and the batch in the signed tree",
        tag="proof",
        scope=required_scope,
        parameters=PROOF_PARAMETERS,
        answers={200: "EntryProof"},
        problems=["entry_unknown", "checkpoint_unknown", "tree_torn"],
    )
    def get(self, request: Request, entry_id: str) -> Response:
        values = read_query(request.query_params, PROOF_PARAMETERS)
        tenant_id = request.auth.tenant_id
        entry = get_entry(tenant_id=tenant_id, entry_id=entry_id)
        if entry is None:
            raise Problem("entry_unknown", "No entry of this tenant has this id.")
        proof = prove_entry(tenant_id=tenant_id, entry=entry)
        return Response(
            {
                "entry_id": entry["id"],
                "batch_id": str(entry["batch_id"]),
                "leaf": proof.leaf,
                "leaf_index": proof.leaf_index,
                "tree_size": proof.tree_size,
                "path": list(proof.path),
                "root": proof.root,
                "receipt": proof.receipt,
                "seal": write_seal(tenant_id, entry["batch_id"], size=values["size"] or 0),
            }
        )


class BatchReceipt(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_batch_receipt",
        summary="A batch's receipt and its place in the signed tree",
        tag="proof",
        scope=required_scope,
        parameters=PROOF_PARAMETERS,
        answers={200: "BatchReceipt"},
        problems=["batch_unknown", "checkpoint_unknown", "tree_torn"],
    )
    def get(self, request: Request, batch_id: UUID) -> Response:
        values = read_query(request.query_params, PROOF_PARAMETERS)
        tenant_id = request.auth.tenant_id
        batch = get_batch(tenant_id=tenant_id, batch_id=batch_id)
        if batch is None:
            raise Problem("batch_unknown", "No batch of this tenant has this id.")
        return Response(
            {
                "batch_id": str(batch.batch_id),
                "recorded_at": write_time(batch.recorded_at),
                "entry_count": batch.entry_count,
                "root": batch.root,
                "receipt": batch.receipt,
                "seal": write_seal(tenant_id, batch.batch_id, size=values["size"] or 0),
            }
        )


def write_seal(tenant_id: int, batch_id: UUID, *, size: int) -> dict[str, Any]:
    """A batch's place under the checkpoint of this size, 0: the newest.

    Raises Problem: `checkpoint_unknown`, and `query_invalid` where the batch was sealed after that checkpoint.
    """
    if size and get_checkpoint(tenant_id=tenant_id, size=size) is None:
        raise Problem("checkpoint_unknown", NOT_SIGNED)
    proof = prove_batch(tenant_id=tenant_id, batch_id=batch_id, size=size)
    if proof is None:
        if size and (batch := get_sealed_batch(tenant_id=tenant_id, batch_id=batch_id)):
            detail = f"The batch is none of the first {size:,}: it is sealed as leaf {batch.leaf_index:,}."
            raise Problem("query_invalid", f"size: {detail}", problems=[{"field": "size", "detail": detail}])
        return {"status": "waiting", "leaf": None, "leaf_index": None, "path": [], "checkpoint": None}
    return {
        "status": "sealed",
        "leaf": proof.batch.leaf.hex(),
        "leaf_index": proof.batch.leaf_index,
        "path": [node.hex() for node in proof.path],
        "checkpoint": write_checkpoint(proof.checkpoint, tenant_id=tenant_id),
    }
