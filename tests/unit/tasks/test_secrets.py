from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.tasks.secrets import load_secret
from tests.unit.fake_airflow import Store


def test_all_tries_of_a_task_share_a_secret_that_the_task_state_store_keeps() -> None:
    context: Any = {"task_state_store": Store()}
    secret = load_secret(context)
    assert secret is not None
    assert len(secret) == 64
    assert load_secret(context) == secret
    other: Any = {"task_state_store": Store()}
    assert load_secret(other) != secret


def test_without_a_store_the_secret_is_made_of_the_fernet_key(monkeypatch: Any) -> None:
    secrets = []
    for key in ("one", "one", "two"):
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
        secrets.append(load_secret({}))
    assert secrets[0] == secrets[1] != secrets[2]
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    assert load_secret({}) is None
