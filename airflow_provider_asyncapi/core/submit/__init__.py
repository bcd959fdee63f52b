"""Submit a job once."""
