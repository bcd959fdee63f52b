"""Selectors: where a value is found in an answer."""
