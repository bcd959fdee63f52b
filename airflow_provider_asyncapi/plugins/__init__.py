"""The plugin of the provider: the jobs page, its API, and the receiver of callbacks."""
