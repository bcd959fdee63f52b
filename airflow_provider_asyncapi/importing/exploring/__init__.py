"""Find in the responses of an API what a description needs, and write it as a profile and a DAG."""
