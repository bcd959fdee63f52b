"""Status: the meaning of a response."""
