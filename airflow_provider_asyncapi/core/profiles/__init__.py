"""Profiles: what one may say, and how it fills in what a DAG leaves out."""
