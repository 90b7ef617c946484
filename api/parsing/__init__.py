"""From the bytes of a request to usage events: bodies, then items, each with its own verdict."""
