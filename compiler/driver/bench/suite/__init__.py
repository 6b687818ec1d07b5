"""`seqc bench --suite`: a table of figures that were asked for, measured beside the peers that were named for them.

`rows` holds the table as data, `by_hand` each recurrence as one would write it, `peers` builds the contenders of a case,
`measure` races and compares them, `run` has the order of things. Whoever is wrong is called WRONG and has no ratio.
"""
