"""Kernels written in Triton, for GPUs; each has a plain PyTorch form beside it."""
