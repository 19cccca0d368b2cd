"""The page is served on this machine alone, only while runs train, and left cleanly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from fake_rounds import TEACHER, Bench
from stillhouse.show.report import build
from stillhouse.show.report.serve import PageServer


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as server:
        server.show("<meta content=\"default-src 'none'; script-src x\">first")
        yield server


def asked(server: PageServer, path: str = "/", host: str | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", int(server.address.rstrip("/").rpartition(":")[2]))
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_the_newest_page_and_its_version_are_answered(server: PageServer) -> None:
    status, text = asked(server)
    assert (status, text.endswith("first")) == (200, True)
    assert "default-src 'none'; connect-src 'self'; script-src x" in text
    before = asked(server, "/version")
    server.show("second")
    assert asked(server) == (200, "second")
    assert asked(server, "/version") != before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_name_that_only_leads_here_is_refused(server: PageServer, host: str) -> None:
    assert asked(server, host=host)[0] == 403
    assert asked(server, host="localhost")[0] == 200


@pytest.mark.parametrize("path", ["/../round.json", "/README.md", "/?x"])
def test_nothing_else_is_served(server: PageServer, path: str) -> None:
    assert asked(server, path)[0] == 404


def test_it_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server._server.server_address[0] == "127.0.0.1"


@pytest.fixture
def active(bench: Bench) -> Bench:
    bench.workspace.activate(bench.round, bench.file)
    return bench


def serve(bench: Bench, log: Callable[[str], None] = lambda text: None) -> Path:
    build.serve_report(bench.workspace, bench.round, bench.file, 0, log)
    return bench.workspace.root / "analysis" / "experiment_tiny" / "report.html"


def test_it_follows_the_training_and_ends_with_it(
    active: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *rest = active.runs
    active.begin(first)
    pages = []

    def goes_on(_: float) -> None:
        pages.append((active.workspace.root / "analysis/experiment_tiny/report.html").read_text())
        if len(pages) == 1:
            active.finish(rest[0], 90.0)
        else:
            active.folder(first).path.rename(active.workspace.root / "gone")
            active.finish(first, 91.0)
            for path in rest[1:]:
                active.finish(path, 90.0)

    monkeypatch.setattr(time, "sleep", goes_on)
    before = threading.active_count()
    page = serve(active).read_text()
    assert "training: 0 of 8" in pages[0] and "training: 1 of 8" in pages[1]
    assert "complete: 8 of 8" in page
    assert threading.active_count() == before


def test_it_ends_where_nothing_trains(active: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    active.end(f"{TEACHER}/0", "failed", "the loss is not finite")
    monkeypatch.setattr(build, "IDLE", 0.0)
    assert "1 failed" in serve(active).read_text()


def test_ctrl_c_leaves_without_an_error(active: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", leave)
    active.begin(f"{TEACHER}/0")
    said: list[str] = []
    assert serve(active, said.append).is_file()
    assert "http://127.0.0.1:" in said[0]
