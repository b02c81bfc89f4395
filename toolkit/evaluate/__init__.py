"""How well an artifact agrees with the original model."""
