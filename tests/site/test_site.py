"""The documentation's site as a reader sees it, in a real browser; `make test-site`."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from scripts.docs_site import SiteError, build, find_pages, list_versions, load_sections

#: Milliseconds that a busy machine may take to show something.
PATIENCE = 60_000
RELEASE = "0.9.0"
Open: TypeAlias = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files without a log."""

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two versions of the site: the working tree, and a release that lacks one of its pages."""
    out = tmp_path_factory.mktemp("site")
    built = build("dev", out)
    release = out / RELEASE
    shutil.copytree(built, release)
    for page in release.rglob("*.html"):
        page.write_text(page.read_text().replace('data-version="dev"', f'data-version="{RELEASE}"'))
    (release / "guides" / "ui.html").unlink()
    list_versions(out)
    return out


@pytest.fixture(scope="session")
def url(folder: Path) -> Iterator[str]:
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "make test-site installs it"
    with sync_playwright() as playwright:
        # Chromium's sandbox wants rights that a container seldom has; all that it sees here is ours.
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Browser, url: str) -> Iterator[Open]:
    """Open a page of the site; what fails, complains or is loaded from elsewhere fails the test."""
    complaints: list[str] = []
    contexts = []

    def note_request(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "file://", "data:")):
            complaints.append(f"loaded from elsewhere: {request.url}")

    def note_failure(request: Request) -> None:
        # Who leaves a page aborts what it still loads.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"failed: {request.url} {request.failure}")

    def note_message(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} {message.location}")

    def opened(path: str, base: str = url, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("request", note_request)
        # Without a server, browsers keep the search from reading its excerpts, and complain.
        if base == url:
            page.on("requestfailed", note_failure)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", note_message)
        page.goto(f"{base}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def background(page: Page) -> str:
    """Return the colour of the page behind the text."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_home_page_shows_what_it_is_and_leads_to_every_section(show):
    page = show("dev/index.html")
    expect(page.get_by_role("heading", level=1)).to_contain_text("airflow-provider-asyncapi")
    expect(page.get_by_role("heading", name="Your own API in five minutes")).to_be_attached()
    captions = page.locator(".sidebar-tree .caption-text").all_inner_texts()
    assert [caption.lower() for caption in captions] == [title.lower() for title, _ in load_sections()]
    pictures = page.locator("article img")
    assert pictures.count() >= 3
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("each => each.naturalWidth") > 100


def test_the_menu_leads_to_a_guide_whose_code_can_be_copied(show):
    page = show("dev/index.html")
    page.locator(".sidebar-tree").get_by_role("link", name="One task or three").click()
    expect(page).to_have_url(re.compile(r"/dev/guides/one_task\.html$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("One task or three")
    assert page.locator("article button.copybtn").count() == page.locator("article .highlight > pre").count() > 0


def test_the_next_page_of_each_page_is_read_in_the_chosen_order(show):
    page = show("dev/index.html")
    _, first = load_sections()[0]
    page.locator("a.next-page").click()
    expect(page).to_have_url(re.compile(re.escape(Path(first[0]).stem) + r"\.html$"))


def test_the_reference_has_the_signatures_and_types_of_the_docstrings(show):
    page = show("dev/api.html#airflow_provider_asyncapi.sensors.asyncapi.AsyncApiSensor")
    sensor = page.locator("dl.py.class").filter(has=page.locator('dt[id$=".AsyncApiSensor"]'))
    expect(sensor.locator("dt.sig").first).to_contain_text("completion_key")
    expect(sensor.get_by_text("result_identifier").first).to_be_attached()
    hook = page.locator('dt[id$="AsyncApiHook.asubmit_job"]')
    hook.scroll_into_view_if_needed()
    expect(hook).to_be_visible()


def test_the_catalogue_leads_to_the_page_of_a_vendor(show):
    page = show("dev/profiles/index.html")
    page.locator("article").get_by_role("link", name="databricks/sql_statements").click()
    expect(page).to_have_url(re.compile(r"/dev/profiles/databricks\.html$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Databricks")


def test_the_search_finds_a_parameter_and_leads_to_it(show):
    page = show("dev/index.html")
    page.get_by_placeholder("Search").fill("resubmit")
    page.keyboard.press("Enter")
    found = page.locator("#search-results li")
    found.first.wait_for()
    expect(found.filter(has_text="One task or three")).to_have_count(1)
    found.filter(has_text="One task or three").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("One task or three")


def test_dark_mode_follows_the_system_and_a_reader_can_choose(show):
    page = show("dev/guides/waiting.html", color_scheme="dark")
    dark = background(page)
    assert max(map(int, re.findall(r"\d+", dark)[:3])) < 64
    toggle = page.locator(".theme-toggle-content button, .content-icon-container button.theme-toggle").first
    toggle.click()
    expect(page.locator("body")).to_have_attribute("data-theme", re.compile("light|dark"))
    while page.locator("body").get_attribute("data-theme") != "light":
        toggle.click()
    assert min(map(int, re.findall(r"\d+", background(page))[:3])) > 192
    page.reload()
    expect(page.locator("body")).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("width", [390, 1000, 1440, 1920])
@pytest.mark.parametrize("path", ["index", "guides/waiting", "guides/versions", "reference", "api", "profiles/index"])
def test_no_page_is_wider_than_the_window(show, path, width):
    page = show(f"dev/{path}.html", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_reader_changes_the_version_and_stays_on_the_page(show, url):
    page = show("dev/guides/waiting.html")
    versions = page.get_by_label("Version")
    expect(versions.locator("option")).to_have_text(["dev", f"{RELEASE} (stable)"])
    expect(page.locator(".site-notice")).to_contain_text("isn't released yet")
    versions.select_option(RELEASE)
    expect(page).to_have_url(f"{url}/{RELEASE}/guides/waiting.html")
    expect(page.locator(".site-notice")).to_have_count(0)
    expect(page.get_by_label("Version")).to_have_value(RELEASE)


def test_the_home_page_is_shown_of_a_version_that_lacks_the_page(show, url):
    page = show("dev/guides/ui.html")
    page.get_by_label("Version").select_option(RELEASE)
    expect(page).to_have_url(f"{url}/{RELEASE}/index.html")


def test_the_start_page_leads_to_the_newest_release(show, url):
    page = show("")
    expect(page).to_have_url(f"{url}/{RELEASE}/index.html")


def test_the_site_can_be_read_from_a_folder_without_a_server(show, folder):
    page = show("guides/waiting.html", (folder / "dev").as_uri())
    expect(page.get_by_label("Version").locator("option")).to_have_count(2)
    page.get_by_placeholder("Search").fill("idempotency")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results li").first).to_be_visible()


def test_every_page_of_the_repository_is_one_of_the_site(folder):
    assert len(list((folder / "dev").rglob("*.html"))) >= len(find_pages())
    # Its inventory lets the documentation of other projects link to the classes.
    assert (folder / "dev" / "objects.inv").exists()


def test_the_links_that_leave_the_site_are_listed(folder):
    links = (folder / "external-links-dev.txt").read_text().splitlines()
    assert "https://google.aip.dev/151" in links
    assert all(link.startswith(("https://", "http://", "mailto:")) for link in links)


@pytest.mark.parametrize("version", ["", "../x", "a/b", "A b", "..", "latest", "v1.2.0"])
def test_a_version_that_is_no_name_of_a_folder_is_refused(tmp_path, version):
    with pytest.raises(SiteError, match="--version"):
        build(version, tmp_path)


@pytest.mark.parametrize(("text", "warning"), [("[a](#absent)", "'absent'"), ("## Low", "heading")])
def test_a_warning_of_sphinx_stops_the_build_and_leaves_the_earlier_one(folder, monkeypatch, capfd, text, warning):
    def gather(source: Path) -> None:
        source.mkdir()
        (source / "index.md").write_text(f"{text}\n" if text.startswith("#") else f"# Home\n\n{text}\n")

    monkeypatch.setattr("scripts.docs_site.gather", gather)
    before = (folder / "dev" / "index.html").read_text()
    with pytest.raises(SiteError, match="Sphinx found mistakes"):
        build("dev", folder)
    assert warning in capfd.readouterr().err
    assert (folder / "dev" / "index.html").read_text() == before
