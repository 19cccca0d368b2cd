"""The page in a real browser: read, sorted, filtered, printed, and heard."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from report_pages import large
from stillhouse.show.report.html import page as write
from stillhouse.show.report.serve import PageServer

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser: pip install 'stillhouse[browser]'"
)
BROWSER = os.environ.get("STILLHOUSE_BROWSER") or shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed ($STILLHOUSE_BROWSER)"),
]
WIDE, NARROW = 1280, 390
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(write(large(runs=12, epochs=5)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "many.html"
    file.write_text(write(large()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=BROWSER, args=["--disable-dev-shm-usage", "--no-sandbox"]
        )
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Any, small: Path) -> Iterator[Open]:
    """Open a page; afterwards nothing was requested but files, and the console is empty."""
    wrong: list[str] = []
    contexts = []

    def opened(
        file: Path = small, width: int = WIDE, scheme: str = "light", script: bool = True,
        fragment: str = "",
    ) -> Any:  # fmt: skip
        context = browser.new_context(
            offline=True,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
        )
        contexts.append(context)
        found = context.new_page()
        found.on("console", lambda message: wrong.append(message.text))
        found.on("pageerror", lambda error: wrong.append(str(error)))
        found.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
        found.goto(file.as_uri() + fragment)
        return found

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def column(page: Any, place: int) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        f"table.sortable tbody tr:not([hidden]) > :nth-child({place})",
        "cells => cells.map(cell => cell.textContent)",
    )
    return found


def test_without_script_all_rows_are_read_and_no_control_is_shown(open_page: Open) -> None:
    page = open_page(script=False)
    assert page.locator("table.sortable tbody tr").count() == 12
    assert not page.locator("#filter").is_visible()
    assert page.locator("thead button").count() == 0
    assert page.get_by_text("Missing: 78 running.").is_visible()


def test_numbers_are_sorted_as_numbers_and_back(open_page: Open) -> None:
    page = open_page()
    header = page.locator("table.sortable thead th").nth(3)
    header.get_by_role("button").click()
    numbers = [float(text) for text in column(page, 4)]
    assert numbers == sorted(numbers)
    assert numbers[0] < 0
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").click()
    assert [float(text) for text in column(page, 4)] == numbers[::-1]
    page.locator("table.sortable thead th button").first.click()
    assert page.locator("[aria-sort]").count() == 1


@pytest.mark.parametrize("key", ["Enter", " "])
def test_keys_sort_and_keep_the_focus(open_page: Open, key: str) -> None:
    page = open_page()
    button = page.locator("table.sortable thead th button").nth(1)
    button.focus()
    page.keyboard.press(key)
    assert page.locator("table.sortable thead th").nth(1).get_attribute("aria-sort")
    assert button.evaluate("button => button === document.activeElement")


def test_the_filter_is_literal_and_says_how_many(open_page: Open) -> None:
    page = open_page()
    assert page.locator("#count").get_attribute("role") == "status"
    page.locator("#filter").fill("method_1/")
    assert page.locator("#count").inner_text() == "1 of 12"
    page.locator("#filter").fill(".*")
    assert page.locator("#count").inner_text() == "0 of 12"
    page.locator("#filter").fill("")
    assert page.locator("#count").inner_text() == "12 of 12"


def test_a_link_shows_its_target_in_a_closed_section(open_page: Open) -> None:
    page = open_page()
    page.locator("table.sortable tbody a").nth(4).click()
    section = page.locator("details#run-5")
    assert section.evaluate("details => details.open")
    assert section.locator("svg").is_visible()
    other = open_page(fragment="#run-7")
    assert other.locator("details#run-7 svg").is_visible()


def test_the_focus_is_visible_and_follows_the_page(open_page: Open) -> None:
    page = open_page()
    tops: list[int] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # past the last stop
        outline, top = page.evaluate(
            """() => { const one = document.activeElement, box = one.getBoundingClientRect();
            return [getComputedStyle(one).outlineStyle, box.top + scrollY]; }"""
        )
        assert outline != "none"
        tops.append(round(top))
    assert len(tops) > 20
    assert all(later >= earlier - 40 for earlier, later in pairwise(tops))


def test_pictures_and_tables_say_what_they_are(open_page: Open) -> None:
    page = open_page()
    for found in page.locator("svg").all():
        assert found.get_attribute("role") == "img"
        assert len(found.get_attribute("aria-label") or "") > 10
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    for figure in page.locator("figure").all():
        assert re.search(r"\d", figure.locator("figcaption").text_content() or "")


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("opened", [False, True], ids=["closed", "open"])
def test_axe_finds_nothing(open_page: Open, width: int, scheme: str, opened: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    page = open_page(width=width, scheme=scheme)
    if opened:
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.evaluate(Path(axe.AXE_FILE_PATH).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    told = [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found]
    assert told == []


def test_a_narrow_screen_does_not_scroll_sideways(open_page: Open) -> None:
    page = open_page(width=NARROW)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_printed_it_is_dark_on_light_and_has_at_most_60_pages(open_page: Open, many: Path) -> None:
    page = open_page(file=many, scheme="dark")
    pdf = page.pdf(format="A4")
    assert 5 < len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 60
    page.emulate_media(media="print")
    colours = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert not page.locator(".controls").is_visible()
    assert page.locator("thead").first.evaluate(
        "head => getComputedStyle(head).display"
    ) == "table-header-group"  # fmt: skip


def test_312_runs_are_open_within_two_seconds(open_page: Open, many: Path) -> None:
    page = open_page(file=many)
    milliseconds = page.evaluate(
        "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    assert milliseconds < 2000
    assert page.locator("table.sortable tbody tr").count() == 312


def test_served_it_loads_itself_again_and_stays_as_it_was(browser: Any, small: Path) -> None:
    text = small.read_text(encoding="utf-8")
    context, wrong = browser.new_context(), []
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    with PageServer() as server:
        page.on("request", lambda r: r.url.startswith(server.address) or wrong.append(r.url))
        server.show(text)
        page.goto(server.address)
        page.locator("#live").filter(has_text="Live").wait_for()
        page.fill("#filter", "method_3")
        page.evaluate("document.getElementById('run-2').open = true")
        server.show(text.replace("Experiment Large", "Experiment Larger"))
        page.get_by_role("heading", name="Experiment Larger").wait_for()
        assert page.input_value("#filter") == "method_3"
        assert page.locator("#count").text_content() == "1 of 12"
        assert page.get_attribute("#run-2", "open") is not None
        assert wrong == []
    page.locator("#live").filter(has_text="No longer updated").wait_for()
    context.close()
