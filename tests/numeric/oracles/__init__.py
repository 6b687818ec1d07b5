"""Independent implementations that the reference is compared with, and what the comparisons share."""
