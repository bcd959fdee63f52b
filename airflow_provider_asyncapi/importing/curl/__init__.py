"""Read cURL commands as requests, and divide them into a connection and the parameters of requests."""
