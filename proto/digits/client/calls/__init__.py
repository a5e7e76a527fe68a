"""One function for each method of `digits.v1`: Python's values in, a call out, which either client runs."""
