"""Status: what an answer means."""
