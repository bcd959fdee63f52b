"""The conversations with an API, as generators of :mod:`~airflow_provider_asyncapi.core.effects`."""
