"""The runner bundle for one ABI: runner binary, engine libraries and loader."""
