"""Requests: how an author writes them, when they are sent, and what an answer's status code means."""
