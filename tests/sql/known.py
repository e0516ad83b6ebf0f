"""Where SQLite answers otherwise than PostgreSQL, and why: (what the statement has, what we say: kind, SQLSTATE, message; the reason)."""
KNOWN = [
]
