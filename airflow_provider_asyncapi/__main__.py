"""``python -m airflow_provider_asyncapi``: the commands of ``airflow asyncapi``, without Airflow's command line."""

from __future__ import annotations

from airflow_provider_asyncapi.cli.commands.registry import make_parser

if __name__ == "__main__":
    arguments = make_parser("python -m airflow_provider_asyncapi").parse_args()
    arguments.func(arguments)
