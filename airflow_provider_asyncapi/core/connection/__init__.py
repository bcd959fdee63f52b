"""One connection: its settings, its headers, and a test of it."""
