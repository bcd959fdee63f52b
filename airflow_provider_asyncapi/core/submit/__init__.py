"""Submit a job exactly once."""
