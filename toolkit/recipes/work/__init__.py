"""What a step does, in a process of its own; each module is imported by the processes that need it."""
