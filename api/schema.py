"""The OpenAPI 3.1 document of the machines' door, generated from the views' own declarations."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from api.auth import BrieflyRememberedKeyAuthentication, RememberedKeyAuthentication
from api.parameters import Parameter, describe_parameters
from api.problems import CONTENT_TYPE, PROBLEM_TYPES
from api.shapes import COMPONENTS, Schema, refer

KEY_PROBLEMS = ("key_missing", "key_invalid", "scope_missing", "tenant_forbidden", "tenant_unknown", "rate_limited")
ANY_PROBLEMS = ("request_malformed", "host_unknown", "method_not_allowed", "internal", "too_slow", "database_away")
X_TENANT = OpenApiParameter(
    name="X-Tenant",
    location=OpenApiParameter.HEADER,
    type={"type": "string", "pattern": "^[a-z0-9-]{2,40}$"},
    description="The tenant to act for. Operators' keys may name any, every other key its own alone.",
)


# The ways to look a key up are one scheme; the generator would take them for several of one name, and say so.
for one_scheme in (RememberedKeyAuthentication, BrieflyRememberedKeyAuthentication):
    set_override(one_scheme, "suppress_collision_warning", True)


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How a key is sent."""

    target_class = "api.auth.ApiKeyAuthentication"
    match_subclasses = True
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, as `manage.py create_api_key` prints."}


def describe_call(
    *,
    operation_id: str,
    summary: str,
    tag: str,
    answers: Mapping[int | tuple[int, str], str | Schema],
    description: str = "",
    scope: str | None = None,
    needs_key: bool = True,
    parameters: Sequence[Parameter] = (),
    problems: Iterable[str] = (),
    request: Mapping[str, Schema] | None = None,
) -> Callable[[Any], Any]:
    """A view's method in the schema. answers: by status, or status and
    media type, a component's name or a schema; problems: further codes."""
    codes = [*problems, *(KEY_PROBLEMS if needs_key else ()), *ANY_PROBLEMS]
    if parameters:
        codes = ["query_invalid", *codes]
    if needs_key:
        scope_text = f"Needs the scope `{scope}`." if scope else "Any live key may call this."
        description = f"{description}\n\n{scope_text}".strip()
    responses: dict[Any, Any] = {
        status: refer(answer) if isinstance(answer, str) else dict(answer) for status, answer in answers.items()
    }
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description,
        tags=[tag],
        parameters=[*describe_parameters(parameters), *([X_TENANT] if needs_key else [])],
        request=request,
        responses=responses | describe_problems(codes, taken=responses),
        auth=None if needs_key else [],
    )


def describe_problems(codes: Iterable[str], *, taken: Iterable[int] = ()) -> dict[tuple[int, str], OpenApiResponse]:
    """The problem documents of these codes, by status; `taken` statuses have an answer of their own."""
    titles: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        titles[PROBLEM_TYPES[code].status].append(f"`{code}`: {PROBLEM_TYPES[code].title}.")
    return {
        (status, CONTENT_TYPE): OpenApiResponse(refer("Problem"), description=" ".join(titles[status]))
        for status in sorted(titles)
        if status not in set(taken)
    }


@cache
def build_schema() -> dict[str, Any]:
    """The whole document, made once in a process."""
    document = SchemaGenerator(urlconf="api.urls").get_schema(request=None, public=True)
    components = document.setdefault("components", {})
    components["schemas"] = {name: dict(schema) for name, schema in COMPONENTS.items()}
    return document
