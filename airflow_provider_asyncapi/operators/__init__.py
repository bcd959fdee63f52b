"""Operators, which submit jobs and fetch results."""
