"""What a loop over time costs on a machine: one model for `seqc explain` and for modules as they run. Imports neither torch nor Triton."""
