"""Questions to a model wherever it answers, and the runner on a device that answers them."""
