"""New items of a list, and changed values, that start DAGs."""
