"""Airflow connections in, conversations with APIs out."""
