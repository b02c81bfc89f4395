"""Recipes: a YAML file becomes a plan of content-addressed steps, and the steps are executed."""
