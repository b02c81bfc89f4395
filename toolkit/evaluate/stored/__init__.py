"""Evaluations that are kept in the results store, whatever was asked."""
