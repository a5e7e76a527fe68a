"""Between the messages of `digits.v1` and the domain's own types, one module a service."""
