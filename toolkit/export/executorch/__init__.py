"""Lower a captured decoder to an ExecuTorch program: XNNPACK delegates around llama's attention kernels."""
