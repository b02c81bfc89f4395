"""What a model still knows after conversion, and how well an artifact agrees with the original."""
