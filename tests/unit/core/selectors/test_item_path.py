import pytest

from airflow_provider_asyncapi.core.selectors import jsonpath


@pytest.mark.parametrize(
    ("path", "prefix", "selected"),
    [
        ("rows", ("rows",), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("$", (), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("$.a.rows[*]", ("a", "rows"), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("rows[*].id", ("rows",), [1]),
        ("rows[*].no", ("rows",), []),
        ("rows[?(@.id == 1)].tags[*]", ("rows",), [2, 3]),
        ("rows[?(@.id == 2)]", ("rows",), []),
    ],
)
def test_a_path_into_an_array_is_applied_to_its_items(path, prefix, selected):
    item = {"id": 1, "no": None, "tags": [2, 3]}
    found = jsonpath.split_at_array(path)
    assert found is not None
    assert (found.prefix, found.select(item)) == (prefix, selected)


@pytest.mark.parametrize("path", ["rows[0]", "rows[1:]", "$..id", "rows.`len`", "a|b", '$."a.b"'])
def test_other_paths_are_not_taken_apart(path):
    assert jsonpath.split_at_array(path) is None
