"""Backups of a data folder: one archive, taken while a server writes, put back as a whole or not at all."""
