from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.templates import (
    find_variables,
    find_whole_variable,
    look_up_text,
    render_body,
    render_json,
    render_param,
    render_text,
    render_url,
    walk_strings,
)

BASE = "https://api.example.com/v1"


def test_names_are_anything_between_braces_on_one_line():
    template = '{identifier}/{data."task-id"}?a={header:X}&{}{a\nb}{{c}}'
    assert find_variables(template) == ["identifier", 'data."task-id"', "header:X", "c"]


@pytest.mark.parametrize(
    ("template", "name"), [("{a}", "a"), ("{+a b}", "+a b"), (" {a}", None), ("{a}{b}", None), ("", None)]
)
def test_a_template_may_be_one_variable_and_nothing_else(template, name):
    assert find_whole_variable(template) == name


def test_strings_are_found_in_values_at_any_depth_but_not_in_keys():
    assert list(walk_strings({"k": ["a", ("b", {"x": "c"})], "n": 1, "z": None})) == ["a", "b", "c"]


def test_an_unknown_name_is_an_error_that_lists_the_known_ones_without_their_values():
    with pytest.raises(UnknownVariableError) as caught:
        look_up_text("job_id", {"identifier": 7, "connection.password": "geheim"}, "params['id']")
    assert str(caught.value) == (
        "params['id']: the variable {job_id} isn't set; known: {connection.password}, {identifier};"
        " variables are set by captures of earlier tasks, whose logs report captures that found nothing"
    )
    with pytest.raises(UnknownVariableError, match=r"{connection\.password}; variables that begin with connection\."):
        look_up_text("connection.kee", {"connection.password": "geheim"}, "endpoint")
    with pytest.raises(UnknownVariableError, match="known: none"):
        look_up_text("x", {}, "")
    with pytest.raises(UnknownVariableError, match=r"headers: the variable \{x\} is null"):
        look_up_text("x", {"x": None}, "headers")


@pytest.mark.parametrize(("value", "text"), [("a b", "a b"), (7, "7"), (True, "true"), (1.5, "1.5"), ("", "")])
def test_a_single_value_is_written_as_text(value, text):
    assert look_up_text("x", {"x": value}, "") == text


@pytest.mark.parametrize(("value", "text"), [(["a b"], "a b"), ([7], "7")])
def test_the_only_item_of_a_list_is_written_as_text(value, text):
    assert look_up_text("x", {"x": value}, "") == text
    assert render_url("/jobs/{x}", {"x": value}, "http://h") == f"http://h/jobs/{quote(text)}"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([1, 2], "a list of 2 values"),
        ([], "a list of 0 values"),
        ([[1]], "a list of 1 values"),
        ({"a": 1}, "an object"),
    ],
)
def test_a_list_or_object_where_one_value_is_needed_is_an_error(value, kind):
    with pytest.raises(UnsafeValueError, match=rf"endpoint: the variable \{{x\}} holds {kind}; select a single value"):
        look_up_text("x", {"x": value}, "endpoint")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\x00", "a\u2028b", "a\x85", "\ud800"])
def test_a_line_break_in_a_value_is_an_error_that_shows_it(value):
    with pytest.raises(
        UnsafeValueError, match=r"headers\['X'\]: the variable \{x\} holds a line break .*: '"
    ) as caught:
        render_text("a {x}", {"x": value}, "headers['X']")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["connection.password", "connection.org", "access_token"])
def test_an_error_about_a_secret_does_not_show_it(name):
    with pytest.raises(UnsafeValueError, match=r"\*\*\*") as caught:
        render_text(f"{{{name}}}", {name: "geheim\n"}, "headers")
    assert "geheim" not in str(caught.value)


def test_headers_and_texts_take_values_as_they_are():
    assert render_text("a {x}/{y}", {"x": "b c/d", "y": 7}, "") == "a b c/d/7"


def test_bodies_leave_unknown_braces_alone():
    variables = {"id": 7, "list": ["a"], "null": None}
    assert (
        render_body("{ job(id: {id}) { state } } {list} {null}", variables) == '{ job(id: 7) { state } } ["a"] {null}'
    )
    assert render_body("<a>{id}</a>", {"id": "<"}, lambda text: text.replace("<", "&lt;")) == "<a>&lt;</a>"


def test_a_json_string_that_is_one_variable_keeps_the_type():
    variables = {"id": 7, "list": [1, None], "null": None}
    given = {"{id}": "{id}", "a": ["{list}", ("x-{id}",)], "n": "{null}", "u": "{unknown}", "i": 1.5, "b": True}
    assert render_json(given, variables) == {
        "{id}": 7,
        "a": [[1, None], ["x-7"]],
        "n": None,
        "u": "{unknown}",
        "i": 1.5,
        "b": True,
    }


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, []),
        ("a", ["a"]),
        ("{id}", ["7"]),
        ("x {id}", ["x 7"]),
        (True, ["true"]),
        (["{id}", "b", None, 1], ["7", "b", "1"]),
        ("{ids}", ["1", "b"]),
        (("{ids}", "c"), ["1", "b", "c"]),
        ({"id": "{id}"}, ['{"id":7}']),
    ],
)
def test_a_query_parameter_is_repeated_by_a_list_and_left_out_by_none(value, texts):
    assert render_param(value, {"id": 7, "ids": [1, "b"]}, "params['p']") == texts


def test_an_unknown_name_in_a_query_parameter_is_an_error():
    with pytest.raises(UnknownVariableError, match=r"params\['p'\]"):
        render_param(["{x}"], {}, "params['p']")


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("", BASE),
        ("/", BASE),
        ("/?a=1", BASE + "?a=1"),
        ("?a=1", BASE + "?a=1"),
        ("/jobs", BASE + "/jobs"),
        ("jobs/", BASE + "/jobs/"),
        (" /jobs\n", BASE + "/jobs"),
        ("//jobs", BASE + "/jobs"),
        ("/My App/ü?q=a b&c=%20", BASE + "/My%20App/%C3%BC?q=a%20b&c=%20"),
        ("/jobs#part", BASE + "/jobs"),
        ("HTTPS://other.example.com/x", "https://other.example.com/x"),
        ("https://bücher.example.com/ü", "https://bücher.example.com/%C3%BC"),
        ("/jobs/{id}", BASE + "/jobs/7"),
        ("/jobs/{odd}/x?q={odd}", BASE + "/jobs/a%2Fb%20%3F%23%26%25/x?q=a%2Fb%20%3F%23%26%25"),
        ("{name}/x", BASE + "/operations%2Fab/x"),
        ("{+name}/x", BASE + "/operations/ab/x"),
        ("/v2/{+name}:cancel", BASE + "/v2/operations/ab:cancel"),
        ("/v2/{+odd}/x", BASE + "/v2/a/b%20?%23&%25/x"),
        ("/q?u={+name}", BASE + "/q?u=operations/ab"),
        ('/jobs/{$.jobs[?(@.id == "7")].name}/x', BASE + "/jobs/n/x"),
    ],
)
def test_an_endpoint_extends_the_connection(endpoint, url):
    variables = {"id": 7, "odd": "a/b ?#&%", "name": "operations/ab", '$.jobs[?(@.id == "7")].name': "n"}
    assert render_url(endpoint, variables, BASE) == url


@pytest.mark.parametrize("endpoint", ["/", ""])
def test_the_connections_address_itself_has_a_slash_at_its_end_only_if_the_connection_has(endpoint):
    assert render_url(endpoint, {}, "https://h/graphql") == "https://h/graphql"
    assert render_url(endpoint, {}, "https://h/graphql/") == "https://h/graphql/"
    assert render_url("/jobs", {}, "https://h/graphql/") == "https://h/graphql/jobs"


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("https://other.example.com/jobs/7?sig=a%2Fb", "https://other.example.com/jobs/7?sig=a%2Fb"),
        ("/jobs/7", "https://api.example.com/jobs/7"),
        ("jobs/7", "https://api.example.com/v1/jobs/7"),
        ("//cdn.example.com/x", "https://cdn.example.com/x"),
        ("?page=2", "https://api.example.com/v1/?page=2"),
        ("../x", "https://api.example.com/x"),
        ("/a b#c", "https://api.example.com/a%20b"),
        (
            "https://s3.example.com/a%2fb?X-Sig=ab%2bc%3d&e=%zz|[1]",
            "https://s3.example.com/a%2fb?X-Sig=ab%2bc%3d&e=%zz|[1]",
        ),
        ("https://h/a/../b?", "https://h/a/../b?"),
        (" https://h/ä b ", "https://h/%C3%A4%20b"),
        (77, "https://api.example.com/v1/77"),
    ],
)
def test_a_lone_variable_is_a_url_that_the_api_gave(reference, url):
    assert render_url("{header:Location}", {"header:Location": reference}, BASE) == url
    assert render_url("{+header:Location}", {"header:Location": reference}, BASE) == url


def test_a_url_from_the_api_that_is_continued_stays_as_it_is():
    variables = {"url": "https://h/a%2fb?sig=%3d", "id": "a/b"}
    assert render_url("{url}?part={id}", variables, BASE) == "https://h/a%2fb?sig=%3d&part=a%2Fb"
    assert render_url("{url}/part?id={id}%", variables, BASE) == "https://h/a%2fb/part?sig=%3d&id=a%2Fb%25"


JSON_TEXTS = [
    ('[{"field":"x"}]', '[{"field":"x"}]'),
    ('{"a": {"b": [1, {}]}}', '{"a": {"b": [1, {}]}}'),
    ('[{"field": "x", "job": "{identifier}", "n": "{+n}"}]', '[{"field": "x", "job": "a\\"b", "n": "{+n}"}]'),
    ("[{identifier}]", '[a"b]'),
    ("{identifier}", 'a"b'),
]


@pytest.mark.parametrize(("template", "text"), JSON_TEXTS)
def test_json_in_a_parameter_or_a_header_keeps_its_braces(template, text):
    variables = {"identifier": 'a"b'}
    assert render_text(template, variables, "") == text
    assert render_param(template, variables, "") == [text]
    assert render_param([template, template], variables, "") == [text, text]


@pytest.mark.parametrize("template", ['[{"field":"x"}', 'filter={"field":"x"}', '{"a": {"b": 1}'])
def test_braces_that_may_be_json_are_an_error_that_says_how_to_write_it(template):
    with pytest.raises(UnknownVariableError, match="if these braces are JSON, pass it as a separate query parameter"):
        render_text(template, {}, "query_params['filter']")


def test_a_percent_sign_that_an_author_writes_by_itself_is_encoded():
    assert render_url("/a%2fb?c=50%", {}, BASE) == BASE + "/a%2fb?c=50%25"


def test_a_relative_url_from_the_api_is_resolved_against_the_url_that_gave_it():
    variables = {"location": "../7"}
    assert render_url("{location}", variables, BASE, reference_base="https://h/jobs/submit/now") == "https://h/jobs/7"


@pytest.mark.parametrize(
    ("location", "endpoint", "url"),
    [
        ("https://h/jobs/7", "{l}/results", "https://h/jobs/7/results"),
        ("https://h/jobs/7/", "{l}/results?x={id}", "https://h/jobs/7/results?x=a%20b"),
        ("/jobs/7", "{l}/results", "https://api.example.com/jobs/7/results"),
        ("/jobs/7", "{l}.json", "https://api.example.com/jobs/7.json"),
        ("https://h/jobs/7?api-version=2", "{l}/results?x=1", "https://h/jobs/7/results?api-version=2&x=1"),
        ("https://h/jobs/7?api-version=2", "{l}/results", "https://h/jobs/7/results?api-version=2"),
        ("https://h/jobs/7#top", "{+l}/results", "https://h/jobs/7/results"),
        ("jobs", "{l}/results", BASE + "/jobs/results"),
    ],
)
def test_an_endpoint_may_continue_a_url_that_the_api_gave(location, endpoint, url):
    assert render_url(endpoint, {"l": location, "id": "a b"}, BASE) == url


@pytest.mark.parametrize("endpoint", ["{x}", "/jobs/{x}", "{x}/status", "/jobs?id={x}"])
def test_an_empty_value_is_an_error_for_it_would_make_another_url(endpoint):
    with pytest.raises(UnsafeValueError, match=r"the variable \{x\} is empty"):
        render_url(endpoint, {"x": ""}, BASE)


@pytest.mark.parametrize(
    ("endpoint", "value"),
    [
        ("/jobs/{x}", ".."),
        ("/jobs/{x}/status", "."),
        ("/jobs/{+x}", "a/../b"),
        ("/jobs/.{x}/y", "."),
        ("/jobs/{x}{x}", "."),
        ("/{+x}?q", "../x"),
        ("/jobs/{$.a[?(@.b == 1)].c}/{x}", ".."),
    ],
)
def test_a_dot_segment_is_an_error_that_shows_the_value(endpoint, value):
    with pytest.raises(UnsafeValueError, match=r"endpoint .* would lead to another path") as caught:
        render_url(endpoint, {"x": value, "$.a[?(@.b == 1)].c": "k"}, BASE)
    assert repr(value) in str(caught.value)


def test_a_dot_segment_of_the_author_is_an_error_too():
    with pytest.raises(UnsafeValueError, match=r"would lead to another path$"):
        render_url("/a/../b", {}, BASE)


def test_dots_in_a_query_are_just_dots():
    assert render_url("/jobs?path={x}", {"x": ".."}, BASE) == BASE + "/jobs?path=.."


@pytest.mark.parametrize("value", ["javascript:alert(1)", "ftp://h/x", "file:///etc/passwd", "http://", "http://h:0/"])
def test_what_is_no_http_url_is_an_error(value):
    with pytest.raises(ConfigurationError, match="isn't an http or https URL"):
        render_url("{x}", {"x": value}, BASE)
    with pytest.raises(ConfigurationError, match="isn't an http or https URL"):
        render_url("/jobs", {}, "")


@pytest.mark.parametrize("value", ["http://[::1", "http://h:port/", "http://h:99999/"])
def test_a_broken_url_is_an_error_that_shows_it(value):
    with pytest.raises(UnsafeValueError, match=r"endpoint '\{x\}': isn't a valid URL; \{x\} holds 'http:"):
        render_url("{x}", {"x": value}, BASE)


TEXT = st.text(min_size=1, max_size=20) | st.text("./\\?#%&=:@ \t;", min_size=1, max_size=8)


@given(TEXT, TEXT)
def test_no_value_changes_the_path_that_the_author_wrote(one, other):
    variables = {"one": one, "other": other}
    try:
        url = render_url("/jobs/{one}/x{other}/status?id={one}", variables, BASE)
    except UnsafeValueError:
        return
    parts = urlsplit(url)
    segments = parts.path.split("/")
    assert len(segments) == 6
    assert segments[:3] == ["", "v1", "jobs"]
    assert (unquote(segments[3]), unquote(segments[4]), segments[5]) == (one, "x" + other, "status")
    assert not {".", ".."} & set(segments)
    assert unquote(parts.query) == "id=" + one
    assert (parts.netloc, parts.fragment) == ("api.example.com", "")


@given(TEXT)
def test_a_value_that_may_hold_slashes_still_cannot_leave_its_place(value):
    try:
        url = render_url("/jobs/a{+x}/status", {"x": value}, BASE)
    except UnsafeValueError:
        return
    parts = urlsplit(url)
    assert parts.netloc == "api.example.com"
    assert parts.path.startswith("/v1/jobs/a")
    assert not {".", ".."} & set(parts.path.split("/"))
    assert url.isascii()


@given(st.text(max_size=40) | st.text("{}+x/.?#%hts:@[]", max_size=20), TEXT)
def test_any_template_and_value_give_a_url_or_a_configuration_error(template, value):
    assume("\ud800" not in template)
    try:
        url = render_url(template, {"x": value, "+": 1}, BASE)
    except ConfigurationError:
        return
    assert url.startswith(("http://", "https://"))
    assert not any(character.isspace() for character in urlsplit(url).path)
