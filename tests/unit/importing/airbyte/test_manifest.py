"""An asynchronous stream of a manifest of Airbyte becomes a profile, and what it can't become is named."""

from __future__ import annotations

import tomllib

import pytest

from airflow_provider_asyncapi.importing.airbyte.manifest import import_manifest
from airflow_provider_asyncapi.importing.documents import DocumentError
from tests.unit.importing.airbyte.manifests import (
    BEARER,
    SELECTOR,
    STATUSES,
    gaps_of,
    import_one,
    make_manifest,
    make_stream,
    path,
    requester,
)

SPEC = {
    "type": "Spec",
    "documentation_url": "https://docs.example.com",
    "connection_specification": {
        "properties": {"region": {"type": "string"}, "credentials": {"properties": {"token": {"airbyte_secret": True}}}}
    },
}


def test_a_stream_becomes_the_tables_of_a_profile():
    draft = import_one(make_manifest(make_stream(), spec=SPEC))
    assert draft.profile == {
        "about": {"title": "orders", "documentation": "https://docs.example.com"},
        "connection": {"auth": "bearer"},
        "submit": {"endpoint": "/jobs", "identifier": "job.id"},
        "status": {
            "endpoint": "/jobs/{identifier}",
            "completion_key": "job.state",
            "completion_value": "DONE",
            "failure_value": ["FAILED", "EXPIRED"],
            "running_value": ["QUEUED", "RUNNING"],
            "capture": {"download_target": "urls"},
        },
        "fetch": {"endpoint": "{download_target}"},
    }
    assert draft.connection == {
        "conn_type": "asyncapi",
        "host": "https://api.example.com/v1",
        "password": "<api_key>",
        "extra": {"profile": "orders"},
    }
    assert draft.gaps == []


def test_the_names_of_the_older_generation_mean_the_same():
    stream = make_stream(
        download_target_extractor=None,
        urls_extractor=path("urls"),
        polling_requester=requester("jobs/{{ stream_slice['create_job_response'].json()['job']['id'] }}"),
        download_requester=requester("{{ stream_slice['url'] }}", url_base=""),
    )
    draft = import_one(make_manifest(stream))
    today = import_one(make_manifest(make_stream()))
    # Without a decoder, a result was a table.
    table = {"result_format": "csv", "result_path": "$[*]"}
    assert draft.profile == {**today.profile, "fetch": {**today.profile["fetch"], **table}}


def test_the_file_says_where_it_comes_from_and_what_it_lacks():
    stream = make_stream(record_selector={**SELECTOR, "record_filter": {"condition": "{{ record['ok'] }}"}})
    draft = import_one(make_manifest({**stream, "transformations": [{"type": "KeysToLower"}]}))
    text = draft.format()
    assert text.startswith("# Imported from manifest.json, stream orders.\n# Not carried over:\n# - streams[0].")
    assert gaps_of(draft) == {
        "streams[0].retriever.record_selector.record_filter": "no row is left out: {{ record['ok'] }}",
        "streams[0].transformations": "rows stay as they are, without KeysToLower",
    }


def test_a_component_in_code_is_marked_where_the_profile_lacks_it():
    custom = {"type": "CustomRecordExtractor", "class_name": "acme.Extractor"}
    draft = import_one(make_manifest(make_stream(status_extractor=custom)))
    assert gaps_of(draft) == {"streams[0].retriever.status_extractor": "acme.Extractor: write a selector for it"}
    assert "# completion_key: not set: acme.Extractor: write a selector for it" in draft.format()
    custom = {"type": "CustomRequester", "class_name": "acme.Requester"}
    draft = import_one(make_manifest(make_stream(creation_requester={**custom, "url_base": "https://a.example"})))
    assert "endpoint: not set: acme.Requester: a component in code" in draft.format()


def test_references_and_parameters_are_resolved_as_airbyte_does():
    stream = {
        "$ref": "#/definitions/base",
        "name": "campaigns",
        "$parameters": {"level": "CAMPAIGN", "columns": ["a", "b"], "path": "reports"},
    }
    retriever = {
        **make_stream()["retriever"],
        "creation_requester": {
            "$ref": "#/definitions/requester",
            "http_method": "POST",
            "request_body_json": {"level": "{{ parameters['level'] }}", "columns": "{{ parameters.columns }}"},
        },
    }
    definitions = {
        "requester": {
            "type": "HttpRequester",
            "url_base": "https://api.example.com",
            "authenticator": "#/definitions/auth",
        },
        "auth": BEARER,
        "base": {"type": "DeclarativeStream", "retriever": "#/definitions/retriever"},
        "retriever": retriever,
    }
    draft = import_one(make_manifest({**stream}, definitions=definitions))
    # The path is a parameter of the stream: a component takes what it lacks from the parameters around it.
    assert draft.profile["submit"]["endpoint"] == "/reports"
    assert draft.profile["submit"]["json"] == {"level": "CAMPAIGN", "columns": ["a", "b"]}
    assert draft.profile["connection"]["auth"] == "bearer"


def test_configuration_becomes_variables_and_secrets_of_the_connection():
    creation = requester(
        "{{ config['region'] }}/jobs",
        http_method="POST",
        authenticator=BEARER,
        request_headers={"X-Token": "{{ config['credentials']['token'] }}", "X-Key": "{{ config.get('api_key') }}"},
        request_parameters={"currency": "{{ config.get('currency', 'EUR') }}"},
    )
    draft = import_one(make_manifest(make_stream(creation_requester=creation), spec=SPEC))
    submit = draft.profile["submit"]
    assert submit["endpoint"] == "/{connection.region}/jobs"
    # The API key is the password of the connection already.
    assert submit["headers"] == {"X-Token": "{connection.token}", "X-Key": "{connection.password}"}
    assert submit["query_params"] == {"currency": "{connection.currency}"}
    assert draft.profile["connection"]["variables"] == {"currency": "EUR"}
    assert draft.connection["extra"] == {
        "secrets": {"token": "<token>"},
        "variables": {"region": "<region>", "currency": "<currency>"},
        "profile": "orders",
    }


def test_intervals_and_partitions_become_variables_of_the_dag():
    body = {
        "from": "{{ stream_interval['start_time'] }}",
        "to": "{{ stream_interval.get('end_time') }}",
        "accounts": "['{{ stream_partition['account_id'] }}']",
        "id": "'{{ stream_slice.id }}'",
        "owner": "{{ stream_partition.extra_fields['OwnerId'] }}",
        "day": "{{ str_to_datetime(stream_interval['start_time']).day }}",
        "version": "'2.0'",
        "plain": "Csv",
        "flag": True,
        "nothing": "None",
    }
    creation = requester("jobs", http_method="POST", request_body={"type": "RequestBodyJsonObject", "value": body})
    stream = make_stream(creation_requester=creation)
    stream["incremental_sync"] = {"type": "DatetimeBasedCursor", "datetime_format": "%Y-%m-%d"}
    draft = import_one(make_manifest(stream))
    assert draft.profile["submit"]["json"] == {
        "from": "{start_time}",
        "to": "{end_time}",
        "accounts": ["{account_id}"],
        "id": "{partition_id}",
        "owner": "{owner_id}",
        "day": "{json_day}",
        "version": "2.0",
        "plain": "Csv",
        "flag": True,
    }
    assert draft.variables == {
        "start_time": "start of the interval, as %Y-%m-%d",
        "end_time": "end of the interval, as %Y-%m-%d",
        "account_id": "account_id of the partition",
        "partition_id": "id of the partition",
        "owner_id": "OwnerId of the partition",
        "json_day": "{{ str_to_datetime(stream_interval['start_time']).day }}",
    }
    assert "{{ str_to_datetime" in tomllib.loads(draft.format())["about"]["variables"]["json_day"]


def test_an_expression_of_a_response_that_cant_be_translated_is_left_out_and_named():
    polling = requester(
        "jobs/{{ creation_response['id'] }}",
        request_headers={"X-Part": "{{ creation_response['id'] | upper }}", "A": "b"},
    )
    draft = import_one(make_manifest(make_stream(polling_requester=polling)))
    assert draft.profile["status"]["headers"] == {"A": "b"}
    assert gaps_of(draft)["status.headers.X-Part"].startswith("an expression of a response: {{ creation_response")


def test_further_values_of_a_response_are_captured():
    draft = import_one(
        make_manifest(
            make_stream(
                polling_requester=requester("{{ creation_response['headers']['Location'] }}", url_base=""),
                abort_requester=requester("jobs/{{ creation_response['job-id'] }}", http_method="PATCH"),
                delete_requester=requester("jobs/{{ creation_response.number }}", http_method="DELETE"),
                download_requester=requester("files/{{ polling_response['file']['id'] }}"),
                download_target_extractor=None,
            )
        )
    )
    profile = draft.profile
    assert profile["submit"]["identifier"] == "header:Location"
    assert profile["submit"]["capture"] == {"job_id": '"job-id"', "number": "number"}
    assert profile["status"]["endpoint"] == "{identifier}"
    assert profile["status"]["capture"] == {"file_id": "file.id"}
    assert profile["fetch"]["endpoint"] == "/files/{file_id}"
    assert profile["cancel"]["method"] == "PATCH"
    assert profile["fetch"]["cleanup"] == profile["status"]["cleanup"]


def test_an_extra_hop_locates_the_result():
    hop = requester("reports/{{ polling_response['report']['id'] }}/links")
    draft = import_one(make_manifest(make_stream(download_target_requester=hop, download_target_extractor=path("url"))))
    assert draft.profile["status"]["capture"] == {"report_id": "report.id"}
    assert draft.profile["fetch"]["locate"] == {
        "endpoint": "/reports/{report_id}/links",
        "capture": {"download_target": "url"},
    }


def test_times_are_seconds():
    draft = import_one(make_manifest(make_stream(polling_job_timeout=30, failed_retry_wait_time_in_seconds=90)))
    status = draft.profile["status"]
    assert (status["timeout"], status["resubmit"], status["resubmit_delay"]) == (1800, 2, 90)
    draft = import_one(make_manifest(make_stream(polling_job_timeout="{{ config['minutes'] }}")))
    assert "timeout" not in draft.profile["status"]
    assert "{{ config['minutes'] }} minutes" in gaps_of(draft)["streams[0].retriever.polling_job_timeout"]


def test_a_status_that_is_skipped_is_no_data():
    draft = import_one(make_manifest(make_stream(status_mapping={**STATUSES, "skipped": ["EMPTY"]})))
    assert draft.profile["status"]["no_data_value"] == "EMPTY"


def test_a_status_with_two_meanings_is_named_and_the_profile_still_passes_the_check():
    draft = import_one(make_manifest(make_stream(status_mapping={**STATUSES, "failed": ["DONE"]})))
    assert "'DONE' is also a completion_value" in str(draft.gaps)


def test_addresses_on_other_hosts_stay_absolute_and_get_the_credentials():
    polling = requester("jobs/{{ creation_response['id'] }}", url_base="https://status.example.com")
    draft = import_one(make_manifest(make_stream(polling_requester=polling)))
    assert draft.profile["status"]["endpoint"] == "https://status.example.com/jobs/{identifier}"
    assert draft.profile["connection"]["trusted_hosts"] == "status.example.com"


def test_a_host_of_the_configuration_is_filled_in_by_the_user():
    base = "https://{{ config['subdomain'] }}.example.com/api"
    stream = make_stream(
        creation_requester=requester("jobs", url_base=base, http_method="POST"),
        polling_requester=requester("jobs/{{ creation_response['id'] }}", url_base=base),
    )
    draft = import_one(make_manifest(stream))
    assert draft.connection["host"] == "https://<subdomain>.example.com/api"
    assert draft.profile["status"]["endpoint"] == "/jobs/{identifier}"
    assert "variables" not in draft.connection["extra"]


def test_templates_of_streams_with_a_list_of_values_become_profiles():
    resolver = {
        "type": "ParametrizedComponentsResolver",
        "stream_parameters": {
            "list_of_parameters_for_stream": [
                {"name": "daily", "body": {"granularity": "#/definitions/day"}},
                {"name": "hourly", "body": {"granularity": "HOUR"}},
            ]
        },
        "components_mapping": [
            {"field_path": ["name"], "value": "{{ components_values['name'] }}"},
            {
                "field_path": ["retriever", "creation_requester", "request_body_json"],
                "value": "{{ components_values['body'] }}",
            },
        ],
    }
    dynamic = {"type": "DynamicDeclarativeStream", "stream_template": make_stream(), "components_resolver": resolver}
    other = {**dynamic, "components_resolver": {"type": "ConfigComponentsResolver", "components_mapping": []}}
    manifest = make_manifest(dynamic_streams=[dynamic, other], definitions={"day": "DAY"})
    drafts, gaps = import_manifest(manifest, "manifest.yaml")
    assert [(draft.name, draft.profile["submit"]["json"]) for draft in drafts] == [
        ("daily", {"granularity": "DAY"}),
        ("hourly", {"granularity": "HOUR"}),
    ]
    assert [gap.place for gap in gaps] == ["dynamic_streams[1].components_resolver"]
    with pytest.raises(DocumentError, match="ConfigComponentsResolver"):
        import_manifest(make_manifest(dynamic_streams=[other]), "manifest.yaml")


def test_streams_that_stand_for_others_are_looked_into():
    simple = {"type": "DeclarativeStream", "name": "plain", "retriever": {"type": "SimpleRetriever"}}
    delegating = {"type": "StateDelegatingStream", "name": "orders", "full_refresh_stream": make_stream()}
    conditional = {"type": "ConditionalStreams", "streams": [{**make_stream(), "name": "items"}]}
    drafts, _ = import_manifest(make_manifest(simple, delegating, conditional), "manifest.yaml")
    assert [draft.name for draft in drafts] == ["orders", "items"]


@pytest.mark.parametrize(
    ("manifest", "stream", "message"),
    [
        ({"openapi": "3.1.0"}, None, "isn't an Airbyte manifest.*OpenAPI document; use `import openapi`"),
        ({"arazzo": "1.0.1"}, None, "Arazzo document; use `import arazzo`"),
        ({"a": 1}, None, "a mapping of a"),
        ({}, None, "it is empty"),
        (make_manifest(), None, "no asynchronous stream"),
        (make_manifest(make_stream()), "order", "did you mean orders"),
        (make_manifest(make_stream()), "zzz", "there are orders"),
        (make_manifest("orders"), None, r"streams\[0\]: has to be a mapping"),
        (make_manifest("#/definitions/a"), None, "leads to nothing: there is no 'definitions'"),
        (make_manifest({"$ref": "other.yaml#/a"}), None, "leads to another document"),
        (
            make_manifest(make_stream(status_mapping={"running": True})),
            None,
            r"status_mapping\.running: has to be a list",
        ),
        (make_manifest(make_stream(polling_requester=5)), None, r"polling_requester: has to be a mapping, not 5"),
        (make_manifest(make_stream(polling_requester=None)), None, r"streams\[0\].retriever: has no polling_requester"),
    ],
)
def test_a_document_that_isnt_such_a_manifest_is_refused_with_the_reason(manifest, stream, message):
    with pytest.raises(DocumentError, match=message):
        import_manifest(manifest, "manifest.yaml", stream)


def test_streams_whose_names_are_one_as_files_are_all_written():
    drafts, _ = import_manifest(make_manifest(make_stream(), {**make_stream(), "name": "Orders"}), "manifest.yaml")
    assert [draft.name for draft in drafts] == ["orders", "orders_2"]
    assert drafts[1].connection["extra"]["profile"] == "orders_2"


@pytest.mark.parametrize(
    "keys",
    [
        {"status_extractor": path("{{ config }}")},
        {"download_target_extractor": path("{{ creation_response }}")},
        {"creation_requester": requester("jobs", request_parameters="{{ creation_response }}")},
        {"polling_requester": requester("{{ creation_response }}")},
    ],
)
def test_a_value_that_makes_no_sense_is_a_gap(keys):
    draft = import_one(make_manifest(make_stream(**keys)))
    assert [gap for gap in draft.gaps if "the whole configuration" in gap.message or "a whole response" in gap.message]


def test_references_that_lead_back_to_themselves_are_refused():
    loop = make_manifest("#/definitions/a", definitions={"a": "#/definitions/b", "b": {"$ref": "#/definitions/a"}})
    with pytest.raises(DocumentError, match=r"streams\[0\]: its references lead back to themselves"):
        import_manifest(loop, "manifest.yaml")
    through = make_manifest("#/definitions/a/x", definitions={"a": "#/definitions/a/y"})
    with pytest.raises(DocumentError, match="lead back to themselves"):
        import_manifest(through, "manifest.yaml")
    body = {"deeper": "#/definitions/body", "again": "#/definitions/body"}
    creation = requester("jobs", http_method="POST", request_body_json="#/definitions/body")
    endless = make_manifest(make_stream(creation_requester=creation), definitions={"body": body})
    with pytest.raises(DocumentError, match="its references contain each other"):
        import_manifest(endless, "manifest.yaml")
