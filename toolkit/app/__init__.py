"""The Android app: its sources, what builds and checks it here, and how a host drives it."""
