"""How a local Airflow is configured: its file, and the environment of its processes."""

from __future__ import annotations

import base64
import configparser
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

USER: Final = "admin"


def configuration(home: Path, dags: Path, url: str, *, default_deferrable: bool) -> dict[str, dict[str, str]]:
    """Return a configuration that reacts fast and otherwise leaves two cores to the tasks."""
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    port = url.rpartition(":")[2]
    return {
        "core": {
            "dags_folder": str(dags),
            "plugins_folder": str(home / "plugins"),
            "executor": "LocalExecutor",
            # One task leg is some 0.4 s of CPU: more at a time only delays the first.
            "parallelism": "6",
            "load_examples": "False",
            "fernet_key": fernet_key,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(home / "passwords.json"),
            "execution_api_server_url": f"{url}/execution/",
            "test_connection": "Enabled",
            # The full name may take seconds of DNS, in each task, where a container has none.
            "hostname_callable": "socket.gethostname",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "operators": {"default_deferrable": str(default_deferrable)},
        "scheduler": {
            "scheduler_idle_sleep_time": "0.25",
            "trigger_timeout_check_interval": "5",
            # Assets that no DAG names any more, which only matter if files change. The scheduler doesn't repeat their
            # clean-up if another process has locked SQLite; it ends.
            "parsing_cleanup_interval": "86400",
        },
        # A supervisor may sleep this long after its task's process has ended, and hold the worker (default 5). A
        # deferral lasts at least 1 s longer (triggers/deferral.py), and with 15 DAG runs at a time the scheduler needs
        # more than 2 s to notice the end of a process.
        "workers": {"min_heartbeat_interval": "3"},
        "dag_processor": {
            # Files don't change while a demo or a test runs; parsing them again and again costs whole seconds.
            "min_file_process_interval": "600",
            "stale_dag_threshold": "600",
            "parsing_processes": "2",
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": url,
            "secret_key": secrets.token_urlsafe(32),
            "maximum_page_limit": "1000",
            # Also how long the server waits for open connections when it stops.
            "worker_timeout": "10",
        },
        "api_auth": {"jwt_secret": secrets.token_urlsafe(32)},
        "logging": {
            "base_log_folder": str(home / "logs"),
            "dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
            "colored_console_log": "False",
        },
    }


def write_config(path: Path, config: Mapping[str, Mapping[str, str]]) -> None:
    """Write Airflow's configuration file."""
    parser = configparser.RawConfigParser()
    # Airflow interpolates `%`.
    parser.read_dict(
        {part: {key: text.replace("%", "%%") for key, text in options.items()} for part, options in config.items()}
    )
    with path.open("w") as file:
        parser.write(file)


def environment(home: Path) -> dict[str, str]:
    """Return the caller's environment without what would disturb an Airflow in this folder."""
    # Settings of another Airflow in the caller's environment would win over the configuration file.
    # Without compiled modules, each of the processes spends 4 s of CPU on its imports instead of 2.
    dropped = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
    local = ",".join(filter(None, (kept.get("no_proxy") or kept.get("NO_PROXY"), "127.0.0.1,localhost")))
    return kept | {
        "AIRFLOW_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": local,
        "no_proxy": local,
    }


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
