"""What a decoder is."""
