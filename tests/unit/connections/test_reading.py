from __future__ import annotations

from airflow.providers.common.compat.sdk import Connection

from airflow_provider_asyncapi.connections.reading import read_connection


def test_no_two_requests_of_a_connection_have_the_same_nonce() -> None:
    connection = Connection(conn_id="api", conn_type="asyncapi", host="https://api.example.com")
    apis = [read_connection(connection, mask=False) for _ in range(2)]
    nonces = {api.make_nonce() for api in apis for _ in range(100)}
    assert len(nonces) == 200
    assert {len(nonce) for nonce in nonces} == {32}
