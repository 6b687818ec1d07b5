"""`seqc explain`: what the compiler found out about a spec, in words and as JSON."""
