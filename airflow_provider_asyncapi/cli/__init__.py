"""
The command line: ``airflow asyncapi`` (Airflow 3.2 and newer), or ``python -m airflow_provider_asyncapi``.

Nothing that tasks import knows of it. To add a command, write its function in a module of :mod:`.commands`, and its
entry in :mod:`.commands.registry`.
"""
