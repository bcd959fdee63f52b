"""Profiles: their tables and keys, and how they fill in parameters that a DAG leaves out."""
