"""What may go wrong with one peer without stopping the others."""

from __future__ import annotations


class PeerFailed(Exception):
    """One peer could not be installed, converted, run or scored; the message goes into its row."""
