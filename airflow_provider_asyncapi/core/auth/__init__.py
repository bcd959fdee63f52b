"""Authentication: the kinds of credentials, and requests for access tokens."""
