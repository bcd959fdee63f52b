"""The job handle, its stored layout, and the cancellation and cleanup of jobs."""
