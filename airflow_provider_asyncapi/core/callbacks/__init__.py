"""Callbacks: their settings and storage, their signatures, and the job that a callback is about."""
