"""The hook, and the clients and calls behind it."""
