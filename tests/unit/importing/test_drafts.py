"""A draft names what isn't carried over, where the profile would contain it."""

from airflow_provider_asyncapi.importing.drafts import Draft


def test_a_gap_that_something_else_fills_is_forgotten():
    draft = Draft("jobs", "api.json")
    draft.add_gap("paths./jobs", "the field that holds the status", ("status", "completion_key"))
    draft.add_gap("paths./jobs", "a second file")
    assert "# completion_key: not set: the field that holds the status" in draft.format()
    draft.drop_gaps(("status", "completion_key"))
    assert draft.format() == "# Imported from api.json.\n# Not carried over:\n# - paths./jobs: a second file\n"
