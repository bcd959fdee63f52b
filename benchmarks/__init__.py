"""Benchmarks, which compare this package with its alternatives in one run."""
