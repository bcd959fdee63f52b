"""What submits jobs and fetches results."""
