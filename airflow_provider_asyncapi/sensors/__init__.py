"""What waits for jobs."""
