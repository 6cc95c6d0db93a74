"""The store: tables, and the units that run on every database; below them migrations and ``sqlite``."""
