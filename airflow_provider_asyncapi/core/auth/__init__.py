"""Authentication: the kinds of credentials, and logging in."""
