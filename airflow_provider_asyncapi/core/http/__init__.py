"""HTTP as values: requests, answers, bodies, URLs, and what may be shown of them."""
