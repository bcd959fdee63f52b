import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.http.redaction import (
    MASK,
    Redactor,
    contains_secret,
    find_masked_texts,
    is_sensitive_name,
    redact_url,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/jobs/7", "https://api.example.com/jobs/7"),
        ("https://user:pw@api.example.com:8443/jobs?key=abc#x", "https://api.example.com:8443/jobs?…"),
        ("https://api.example.com?key=abc", "https://api.example.com?…"),
        ("https://api.example.com/a@b", "https://api.example.com/a@b"),
        ("https://h/p#secret", "https://h/p"),
        ("/jobs/7?sig=abc", "/jobs/7?…"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url, shown):
    assert redact_url(url) == shown


@given(st.text() | st.text("htps:/@[]?#%1", max_size=30))
def test_no_text_is_too_odd_to_be_shown_as_a_url(url):
    shown = redact_url(url)
    assert "#" not in shown
    assert "?" not in shown.removesuffix("?…")


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-API-Key",
        "apikey",
        "access_token",
        "client_secret",
        "Set-Cookie",
        "password",
        "X-Auth",
        "Ocp-Apim-Subscription-Key",
        "X-Functions-Key",
        "X-FLYNN-N-USER-TOKEN",
        "db_pwd",
        "Elements-Webhook-Signature",
    ],
)
def test_names_of_secrets_are_known(name):
    assert is_sensitive_name(name)


@pytest.mark.parametrize("name", ["Accept", "X-FLYNN-N-ORG-ID", "Idempotency-Key", "Content-Type", "monkey", "author"])
def test_other_names_are_not(name):
    assert not is_sensitive_name(name)


def test_known_secrets_are_masked_in_every_form_a_server_may_repeat_them():
    secret = 'p&ss "w<rd" é/ü'
    redact = Redactor([secret])
    forms = [
        secret,
        quote(secret, safe=""),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        secret.replace("&", "&amp;").replace("<", "&lt;"),
        quote(secret, safe="").replace("%20", "+"),
    ]
    for form in forms:
        shown = redact(f"you said {form}, didn't you")
        assert "w<rd" not in shown
        assert "rd" not in shown.replace("didn", "")
        assert MASK in shown


def test_the_longest_secret_is_masked_first_and_short_ones_not_at_all():
    redact = Redactor(["abcd", "abcdefgh", "xyz", ""])
    assert redact("abcdefgh abcd xyz") == "*** *** xyz"
    assert Redactor()("abcd") == "abcd"


def test_a_secret_can_be_learnt_later():
    redact = Redactor(["first-one"])
    assert redact("first-one second-one") == "*** second-one"
    redact.add("second-one")
    assert redact("first-one second-one") == "*** ***"


def test_of_renewed_tokens_the_last_few_are_masked_and_no_more_are_kept():
    redact = Redactor(["static-secret"])
    kept = set()
    for number in range(1000):
        redact.add_token(f"token-{number}", f"refresh-{number}")
        redact.add_token(f"token-{number}", f"refresh-{number}")
        kept.add(len(redact._forms))
    assert max(kept) <= 9
    for number in (996, 999):
        assert redact(f"static-secret token-{number} refresh-{number}") == "*** *** ***"
    assert redact("token-1 static-secret") == "token-1 ***"


def test_all_tokens_are_masked_in_texts_that_are_masked_in_the_end():
    redact = Redactor()
    redact.add_token("token-first")
    redact.keep_all_tokens()
    for number in range(100):
        redact.add_token(f"token-{number}")
    assert redact("token-first token-0 token-99") == "*** *** ***"


def test_of_a_login_that_answers_with_very_many_strings_the_first_are_masked():
    redact = Redactor()
    redact.add_token(*(f"string-{number:05}" for number in range(100_000)))
    assert redact("string-00000 string-99999") == "*** string-99999"
    assert len(redact._forms) <= 100


class CountingRedactor(Redactor):
    """Counts the characters that it looks at."""

    __slots__ = ("looked_at",)

    def __call__(self, text):
        self.looked_at = len(text)
        return super().__call__(text)


def test_of_a_megabyte_that_is_shown_in_part_only_the_beginning_is_looked_at():
    redact = CountingRedactor(["a-secret"])
    shown = redact.excerpt("a-secret and " + "x" * 1_000_000)
    assert shown.startswith("*** and xxx")
    assert shown.endswith("x… (1000013 characters)")
    assert redact.looked_at < 20_000
    assert redact.excerpt("a  short\ntext") == "a short text"
    assert redact.excerpt("a" * 400) == "a" * 300 + "… (400 characters)"
    assert Redactor().excerpt("a" * 10_000).endswith("a… (10000 characters)")


@pytest.mark.parametrize("at", range(8180, 8195))
def test_no_part_of_a_secret_is_shown_although_the_text_was_cut_in_it(at):
    secret = "geheimnis-geheimnis"
    # All before it is masked, so that the end of what is looked at would be shown.
    shown = Redactor([secret]).excerpt('token="' + "x" * (at - 8) + '" ' + secret * 200)
    assert "geheim" not in shown
    assert "xxx" not in Redactor().excerpt('{"password": "' + "x x" * 100_000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"access_token": "abc def", "state": "ok"}', '{"access_token": ***, "state": "ok"}'),
        (r'{"token": "a\"bc", "n": 1}', '{"token": ***, "n": 1}'),
        ("{'password': 'a b'}", "{'password': ***}"),
        (r'"{\"token\": \"abc\", \"n\": 1}"', r'"{\"token\": ***, \"n\": 1}"'),
        ('{"tokens": ["abc", "def"], "n": 1}', '{"tokens": ***, "n": 1}'),
        ('{"credentials": {"user": "u", "x": "y"}, "n": 1}', '{"credentials": ***, "n": 1}'),
        ("a=1&api_key=abc&b=2", "a=1&api_key=***&b=2"),
        ("Authorization: Bearer abc.def rest", "Authorization: *** rest"),
        ("authorization=basic dTpw", "authorization=***"),
        (
            "<login><userPassword>my secret</userPassword><n>1</n></login>",
            "<login><userPassword>***</userPassword><n>1</n></login>",
        ),
        ('<ns:Token type="jwt">abc</ns:Token>', '<ns:Token type="jwt">***</ns:Token>'),
        ("the token has expired", "the token has expired"),
        # Cut inside the value.
        ('{"token": "abc def', '{"token": ***'),
        ('{"token": "abc de\\\\', '{"token": ***'),
        ("{'token': 'abc def", "{'token': ***"),
        ('{"tokens": ["abc", "de', '{"tokens": ***'),
        ('{"credentials": {"user": "u', '{"credentials": ***'),
    ],
)
def test_what_stands_under_a_telling_name_is_masked(text, shown):
    assert Redactor()(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "token request: POST http://127.0.0.1:9/oauth/token: couldn't connect: Connection refused",
        "POST https://h/v1/sign:generateAccessToken: answered 404",
        "GET https://h/api/tokens.json: couldn't connect",
        "GET https://h/credentials/7/secret: 'id' is missing",
        "POST https://token.example.com:8443/login: couldn't connect",
        "POST https://user@my-secrets.example.com:443: couldn't connect",
        "POST https://token.example.com:443/oauth/token: couldn't connect",
    ],
)
def test_the_end_of_a_url_is_no_name_of_a_field(text):
    assert Redactor()(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/oauth/token: token=abc", "https://h/oauth/token: token=***"),
        ('https://h/oauth/token: "token": "abc" def', 'https://h/oauth/token: "token": *** def'),
        ("https://token:12345@h/jobs", "https://token:***"),
        ("https://token:abc@h/jobs", "https://token:***"),
        ("https://token.h:443secret", "https://token.h:***"),
        ("https://h/jobs?token: abc", "https://h/jobs?token: ***"),
        ("https://h/token:abc", "https://h/token:***"),
        ("https://h/token=abc", "https://h/token=***"),
        ("see https://h/jobs, token: abc", "see https://h/jobs, token: ***"),
        ("see https://h/jobs token: abc", "see https://h/jobs token: ***"),
        ('{"https://h/token": "abc"}', '{"https://h/token": ***}'),
        ("/oauth/token: abc", "/oauth/token: ***"),
    ],
)
def test_secrets_after_or_in_a_url_are_masked(text, shown):
    assert Redactor()(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "token" * 200_000,
        "<" * 1_000_000,
        "token:" * 100_000,
        "token " * 100_000,
        "http://" * 10_000 + "token: " * 100_000,
        "http://h/token: " * 50_000,
        'token="' + "\\" * 500_000,
    ],
)
def test_a_megabyte_of_anything_is_redacted_at_once(text):
    """A pattern that takes quadratic time would stop the triggerer for minutes."""
    began = time.process_time()
    Redactor(["geheimnis"])(text)
    assert time.process_time() - began < 10


@given(st.text(min_size=4, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_text_leaks_a_known_secret(secret, before, after):
    shown = Redactor([secret])(before + secret + after)
    assert secret not in shown or secret in (before + MASK + after) or MASK in secret


def test_basic_credentials_are_masked_as_text_too():
    pair = base64.b64encode(b"user:password").decode()
    assert pair not in Redactor()(f"Authorization: Basic {pair}")


@pytest.mark.parametrize(
    ("text", "secret", "holds"),
    [
        ("/invoice/7", "invoice", True),
        ("invoice", "invoice", True),
        ("kind=invoice2", "invoice", True),
        ("/invoices", "invoice", False),
        ("reinvoice", "invoice", False),
        ("/invoices/invoice", "invoice", True),
        ("überinvoice", "invoice", False),
        # What isn't a word doesn't stand in one by chance.
        ("xhunter2x", "hunter2", True),
        ("xa-bx", "a-b", True),
        (f"x{'k' * 16}x", "k" * 16, True),
        ("/jobs", "invoice", False),
    ],
)
def test_a_word_inside_another_gives_no_secret_away(text, secret, holds):
    assert contains_secret(text, secret) is holds


@pytest.mark.parametrize(
    ("text", "redacted", "masked"),
    [
        ("/jobs", "/jobs", ()),
        ("a***b", "a***b", ()),
        ("/invoices?k=abc", "/***s?k=***", ("invoice", "abc")),
        ("secret", "***", ("secret",)),
        ("odd", "something else", ("odd",)),
    ],
)
def test_what_was_masked_can_be_told(text, redacted, masked):
    assert find_masked_texts(text, redacted) == masked


@pytest.mark.parametrize("lines", [100, 6_000], ids=["looked at whole", "looked at in part"])
def test_of_a_long_message_the_end_is_shown_too(lines):
    shown = Redactor().excerpt_with_end("begins\n" + "a line of stderr\n" * lines + "KeyError: 'gstin'")
    assert shown.startswith("begins a line of stderr")
    assert "KeyError: 'gstin' (" in shown
    assert " … " in shown
    assert len(shown) < 1100


def test_a_message_that_fits_is_shown_whole():
    assert Redactor().excerpt_with_end("a\n b" + "c" * 990) == "a b" + "c" * 990


@pytest.mark.parametrize("size", [2_000, 100_000])
def test_no_secret_is_at_the_end_of_a_long_message(size):
    redact = Redactor(["planted-secret"])
    shown = redact.excerpt_with_end("x " * size + "planted-secret token=planted-other the end")
    assert "planted" not in shown
    assert shown.endswith(f"the end ({2 * size + 42} characters)")


@pytest.mark.parametrize("offset", range(0, 40, 5))
def test_a_secret_that_is_cut_at_the_begin_of_the_end_is_not_shown(offset):
    secret = "planted" * 5
    text = "x " * 20_000 + secret + "y" * (8 * 1024 - offset)
    assert "planted" not in Redactor([secret]).excerpt_with_end(text)
