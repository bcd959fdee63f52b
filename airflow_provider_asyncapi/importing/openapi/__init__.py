"""Turn an operation of an OpenAPI 3 document that starts a job into a profile."""
