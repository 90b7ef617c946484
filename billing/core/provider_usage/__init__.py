"""A provider's own usage object, read into the wire's inclusive usage (see `billing.core.usage`).

The shape of the object says which family wrote it; the provider's name refines what one shape leaves open, because
Azure, Bedrock, Vertex and the gateways answer in the words of whoever made the model.
"""

from billing.core.provider_usage.fields import FieldRefused
from billing.core.provider_usage.reading import ProviderUsage, ProviderUsageUnknown, read_provider_usage
from billing.core.usage import UsageInconsistent

__all__ = ["FieldRefused", "ProviderUsage", "ProviderUsageUnknown", "UsageInconsistent", "read_provider_usage"]
