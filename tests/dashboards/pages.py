"""Reading a page as a person does: its tables as rows of text, its figures by their exact values."""

import io
from html.parser import HTMLParser

import openpyxl
from django.test import Client

from tenants.models import User
from tenants.people import create_user

PASSWORD = "correct horse battery staple"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def sign_in(tenant=None, *, role="viewer"):
    """A browser in which a tenant's person, or an operator's, is signed in."""
    slug = tenant.slug if tenant else None
    email = f"{role}-{User.objects.count()}@{slug or 'operator'}.example"
    user_id = create_user(email=email, password=PASSWORD, role=role, tenant_slug=slug)
    client = Client()
    client.force_login(User.objects.get(pk=user_id), backend=BACKEND)
    return client


def get_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.get("Location"))
    return answer.content.decode()


def read_workbook(client, path):
    """The workbook at the address, without anything that a spreadsheet would run."""
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.content)
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type == "f"]
    return book


class _Tables(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tables, self.rows, self.cell = [], None, None

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.cell = []

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)

    def handle_endtag(self, tag):
        if tag == "table":
            self.tables.append(self.rows)
        elif tag in ("th", "td"):
            self.rows[-1].append(" ".join("".join(self.cell).split()))
            self.cell = None


def read_tables(html):
    """Every table of the page as rows of cells' texts, the heading first."""
    parser = _Tables()
    parser.feed(html)
    return parser.tables


class _Values(HTMLParser):
    def __init__(self):
        super().__init__()
        self.values, self.depth = [], 0

    def handle_starttag(self, tag, attrs):
        if tag == "dl" and dict(attrs).get("class") == "figures":
            self.depth = 1
        if tag == "data" and self.depth:
            self.values.append(dict(attrs)["value"])

    def handle_endtag(self, tag):
        if tag == "dl":
            self.depth = 0


def read_figures(html):
    """The exact values of the page's figures, in their order."""
    parser = _Values()
    parser.feed(html)
    return parser.values
