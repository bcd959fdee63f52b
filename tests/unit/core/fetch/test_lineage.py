from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.fetch.lineage import dataset_name


@pytest.mark.parametrize(
    ("destination", "dataset"),
    [
        ("s3://bucket/a/b.csv", ("s3://bucket", "a/b.csv")),
        ("s3://aws_default@bucket/a/", ("s3://bucket", "a")),
        ("gs://bucket/", ("gs://bucket", "/")),
        ("file:///tmp/a/", ("file", "/tmp/a")),
        ("/tmp/a.csv", ("file", "/tmp/a.csv")),
        ("/", ("file", "/")),
    ],
)
def test_a_destination_is_a_dataset(destination, dataset):
    assert dataset_name(destination) == dataset
