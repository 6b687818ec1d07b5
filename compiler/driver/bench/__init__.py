"""`seqc bench`: how long the layer takes, beside the reference and what a user would take instead."""
