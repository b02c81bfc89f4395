"""What changes the weights: quantization schemes and algorithms."""
