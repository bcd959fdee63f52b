"""Callbacks: how an API calls back, whether to believe it, and which job it means."""
