"""What cost is shown by, in words."""

WORDS = {
    "feature": "Feature", "cost_center": "Cost centre", "model": "Model", "provider": "Provider", "user": "User",
    "key": "Key", "operation": "Operation", "service_tier": "Service tier",
}  # fmt: skip
# What stands for the calls that name none.
NAMELESS = {
    "feature": "No feature", "cost_center": "Unallocated", "model": "No model", "provider": "No provider",
    "user": "No user", "key": "No key", "operation": "No operation", "service_tier": "No service tier",
}  # fmt: skip
