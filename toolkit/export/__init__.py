"""Capture a decoder once, lower it, check parity, write the artifact."""
