"""Ordered migrations of the results database (alembic)."""
