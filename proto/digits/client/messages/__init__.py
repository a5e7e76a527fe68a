"""Messages of `digits.v1` to records and back, one module a service."""
