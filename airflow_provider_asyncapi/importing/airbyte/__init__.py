"""Turn the asynchronous streams of a declarative manifest of Airbyte into profiles."""
