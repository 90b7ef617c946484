"""A report as a mail: HTML and text of one content, with the headers that let a program end it in one click."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from alerts.core.budgets import describe_scope
from chargeback.core.reports.document import write_report
from chargeback.core.reports.periods import Cadence, ReportPeriod
from chargeback.reports.contents import read_report
from chargeback.reports.links import PageLinks, make_unsubscribe_link
from chargeback.reports.readiness import list_missing
from tenants.selectors import TenantInfo

TEST_PREFIX = "[test] "


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report in its two forms."""

    subject: str
    text: str
    html: str


def write_mail(
    *,
    tenant: TenantInfo,
    period: ReportPeriod,
    scope: Mapping[str, str],
    now: datetime,
    subscription_id: int | None = None,
    is_test: bool = False,
) -> WrittenReport:
    """Read the report and write it. subscription_id: None for a preview, which nobody can unsubscribe from."""
    missing = list_missing(tenant=tenant, period=period)
    document = write_report(read_report(tenant=tenant, period=period, scope=scope, now=now, missing=missing))
    link = PageLinks(tenant_slug=tenant.slug, period=period, scope=scope).find("reports")
    told = {
        "document": document,
        "settings_href": link,
        "why": _say_why(period.cadence, tenant, scope),
        "unsubscribe": "",
    }
    if subscription_id is not None:
        told["unsubscribe"] = make_unsubscribe_link(tenant_id=tenant.id, subscription_id=subscription_id)
    return WrittenReport(
        subject=f"{TEST_PREFIX if is_test else ''}{document.subject}",
        text=render_to_string("reports/mail.txt", told),
        html=render_to_string("reports/mail.html", told),
    )


def _say_why(cadence: Cadence, tenant: TenantInfo, scope: Mapping[str, str]) -> str:
    what = "" if not scope else f", {describe_scope(scope)}"
    return f"You get this because you are subscribed to the {cadence} report of {tenant.name}{what}."


def make_mail(written: WrittenReport, *, sent_id: UUID, to: str, unsubscribe: str) -> EmailMultiAlternatives:
    """The mail to one recipient. What was sent before has the same Message-ID, and shows once in most programs."""
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    headers = {
        "Message-ID": f"<{sent_id}@{host}>",
        "Auto-Submitted": "auto-generated",
        # One click without signing in: RFC 2369, RFC 8058.
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mail = EmailMultiAlternatives(subject=written.subject, body=written.text, to=[to], headers=headers)
    mail.attach_alternative(written.html, "text/html")
    return mail
