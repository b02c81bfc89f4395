"""The `slm` command: one thin file per verb."""
