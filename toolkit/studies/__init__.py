"""Studies: recipe template, analysis, figure, published points and findings under one name."""
