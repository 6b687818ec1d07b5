"""Recurrences alone, without the projections around them: what `seqc bench --suite` times, as specs."""
