"""Selectors: how values are found in a response."""
