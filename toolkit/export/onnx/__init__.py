"""Lowering of a captured decoder to ONNX with onnxruntime's fused operators."""
