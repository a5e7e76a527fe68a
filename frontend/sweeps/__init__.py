"""The part of the Train page that tries many options."""
