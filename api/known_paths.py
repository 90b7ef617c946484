"""What to say to one who asks a path that there is not: the nearest that there is."""

from difflib import get_close_matches

from django.urls import URLPattern, get_resolver

RESEMBLANCE = 0.75
OTLP_PATHS = ("/v1/traces", "/v1/metrics", "/v1/logs")
OVERVIEW = "Usage events go to /v1/events, OpenTelemetry's spans to /v1/traces; /v1/docs shows every path."


def list_known_paths() -> list[str]:
    """Every path of the machines' door that has no variable part, the longest first."""
    routes = [str(found.pattern) for found in get_resolver("api.urls").url_patterns if isinstance(found, URLPattern)]
    return sorted((f"/{route}" for route in routes if "<" not in route), key=len, reverse=True)


def suggest_path(path: str) -> str:
    """The cure for a path that is unknown, as a sentence."""
    known = list_known_paths()
    plain = path.rstrip("/").lower()
    nearest = [name for name in known if plain.endswith(name)] or get_close_matches(plain, known, 1, RESEMBLANCE)
    if not nearest:
        return OVERVIEW
    if plain == nearest[0]:
        return f"Did you mean {nearest[0]}, without a slash at its end?"
    of_otlp = f" An OTLP endpoint is the address without {nearest[0]}." if nearest[0] in OTLP_PATHS else ""
    return f"Did you mean {nearest[0]}?{of_otlp}"
