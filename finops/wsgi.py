"""The WSGI application that granian serves."""

import ctypes
import gc
from contextlib import suppress

from django.core.wsgi import get_wsgi_application

from finops.environment import load_environment

load_environment()
django_application = get_wsgi_application()

from api.quota_door import QuotaDoor  # noqa: E402 - needs the apps
from finops.checks import refuse_strong_role  # noqa: E402 - needs the settings
from finops.keys import announce_own_key  # noqa: E402

application = QuotaDoor(django_application)

refuse_strong_role()
announce_own_key()

# mallopt(3): two heaps for all threads, where each of them would keep what its largest batch took; and what is larger
# than this many bytes goes back to the system when it is freed, where the bound would grow with what it meets.
M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
with suppress(AttributeError):  # not glibc
    libc = ctypes.CDLL(None)
    libc.mallopt(M_ARENA_MAX, 2)
    libc.mallopt(M_MMAP_THRESHOLD, 128 * 1024)

# What is loaded by now stays for good; a request makes many objects and few circles. Python would look for circles at
# every 700th object, through all of these; and what a first look left is a second's 60 ms, in somebody's request.
gc.freeze()
gc.set_threshold(20_000, 50, 10)
