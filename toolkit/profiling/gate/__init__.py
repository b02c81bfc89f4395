"""The gate before each repetition: limits, readings, and what they show of throttling."""
