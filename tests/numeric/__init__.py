"""Numeric tests: the reference against others' work, every mode against the reference."""
