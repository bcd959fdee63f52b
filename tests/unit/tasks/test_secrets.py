from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.tasks.secrets import secret_of
from tests.unit.fake_airflow import Store


def test_all_tries_of_a_task_share_a_secret_that_the_task_state_store_keeps() -> None:
    context: Any = {"task_state_store": Store()}
    secret = secret_of(context)
    assert secret is not None
    assert len(secret) == 64
    assert secret_of(context) == secret
    assert secret_of({"task_state_store": Store()}) != secret  # type: ignore[typeddict-unknown-key]


def test_without_a_store_the_secret_is_made_of_the_fernet_key(monkeypatch: Any) -> None:
    secrets = []
    for key in ("one", "one", "two"):
        monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
        secrets.append(secret_of({}))  # type: ignore[typeddict-item]
    assert secrets[0] == secrets[1] != secrets[2]
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    assert secret_of({}) is None  # type: ignore[typeddict-item]
