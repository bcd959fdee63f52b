"""What is known of asynchronous HTTP APIs, without doing any I/O."""
