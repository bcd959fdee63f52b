"""Sensors, which wait for remote jobs."""
