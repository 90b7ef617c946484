"""The way out that each report by mail has."""

from django.core.signing import BadSignature
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from chargeback.reports.links import read_unsubscribe_token
from chargeback.reports.subscriptions import unsubscribe


# A mail program posts by itself, without a session and a form of ours (RFC 8058): the token is what is asked for.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def end_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """End a subscription by the link of its mail, without signing in. Opening the link changes nothing: scanners do."""
    try:
        tenant_id, subscription_id = read_unsubscribe_token(token)
    except BadSignature:
        raise Http404 from None
    is_done = request.method == "POST"
    if is_done:
        unsubscribe(tenant_id=tenant_id, subscription_id=subscription_id, now=timezone.now())
    response = render(request, "reports/unsubscribe.html", {"is_done": is_done})
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
