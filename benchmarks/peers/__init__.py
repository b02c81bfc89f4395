"""The engines that are compared, one module per engine family."""
