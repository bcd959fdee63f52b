"""
Writers: rows as files at a destination.

A writer is a module here with a :class:`~.base.Writer`, and its entry in
:data:`~airflow_provider_asyncapi.core.fetch.writer_registry.WRITE_AS`.
"""
