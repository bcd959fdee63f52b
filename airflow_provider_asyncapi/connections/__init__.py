"""Airflow connections: their form, their profile, and the tokens that a host shares."""
