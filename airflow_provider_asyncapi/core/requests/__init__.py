"""Requests: their templates, sending them with credentials and retries, and the errors of their responses."""
