"""Who: tenants, the people and keys that act for them, and the scope that keeps tenants apart.

Owns `tenant`, `tenants_user` and `api_key`. Knows nothing of usage, prices or pages.
Read first: `scope.py` (`tenant_scope`), then `keys.py` (`find_api_key`).
"""
