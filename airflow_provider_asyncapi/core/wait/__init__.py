"""Wait for a job."""
