"""Fetch what a job made."""
