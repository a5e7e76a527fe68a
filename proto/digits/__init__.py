"""Digit Lab for programs: the generated stubs of `digits.v1` and a small client on top of them."""
