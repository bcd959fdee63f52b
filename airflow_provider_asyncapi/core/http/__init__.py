"""HTTP as values: requests, responses, bodies, URLs, and what may be shown of them."""
