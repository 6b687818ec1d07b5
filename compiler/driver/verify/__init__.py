"""`seqc verify`: is what runs what the spec says?"""
