"""`seqc aot`: Triton kernels compiled with no GPU present."""
