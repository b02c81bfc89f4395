"""One file for each kind of step: which steps a recipe stands for, and the work that each hands on."""
