"""Needles in a haystack: does a model find what stands somewhere in a long text?"""
