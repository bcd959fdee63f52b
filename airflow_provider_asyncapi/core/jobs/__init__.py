"""Jobs: the handle that tasks pass on, how it is stored, and how a job is cancelled and removed."""
