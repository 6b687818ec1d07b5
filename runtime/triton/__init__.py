"""Running the Triton kernels that seqc generates: on a GPU, or on the CPU in Triton's interpreter (TRITON_INTERPRET=1)."""
