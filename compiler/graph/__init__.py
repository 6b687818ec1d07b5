"""Spec to step graph: inlining, folding, symbolic gradients. Entry point: `build.build`."""
