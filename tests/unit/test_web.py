"""The web console: loopback unless told, one line without the extra, and no page of another site may use it."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

from nanoconsole.services.web import command, is_loopback, refusal, way_around
from tests import command_line
from tests.command_line import Nano

nano = command_line.nano


class Server:
    """Stands in for textual-serve's."""

    made: list[Server] = []

    def __init__(self, command: str, host: str, port: int, title: str) -> None:
        self.command, self.host, self.port = command, host, port
        self.made.append(self)

    async def _make_app(self) -> object:
        return None

    def serve(self) -> None:
        import asyncio

        asyncio.run(self.on_startup(None))  # type: ignore[attr-defined]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> type[Server]:
    package, module = types.ModuleType("textual_serve"), types.ModuleType("textual_serve.server")
    module.Server = Server  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "textual_serve", package)
    monkeypatch.setitem(sys.modules, "textual_serve.server", module)
    monkeypatch.setattr(Server, "made", [])
    return Server


def test_it_listens_on_loopback_and_tells_its_address(nano: Nano, served: type[Server]) -> None:
    result = nano("web", "--port", "8123")
    assert (result.code, result.out, result.err) == (0, "http://127.0.0.1:8123/\n", "")
    assert (served.made[0].host, served.made[0].port) == ("127.0.0.1", 8123)
    assert shlex.split(served.made[0].command)[-2:] == ["--runs", str(nano.root)]


def test_another_address_is_warned_about(nano: Nano, served: type[Server]) -> None:
    result = nano("web", "--host", "0.0.0.0", "--json")
    assert result.code == 0 and "there is no password" in result.err
    assert result.lines == [{"url": "http://0.0.0.0:8000/", "loopback": False}]


def test_without_the_extra_one_line_says_how_to_get_it(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    result = nano("web")
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1 and "pip install 'nanoconsole[web]'" in result.err


def test_a_page_gets_the_app_although_it_is_no_terminal(tmp_path: Path) -> None:
    """Started as textual-serve starts it: over pipes, with Textual's driver for browsers."""
    environment = {**os.environ, "TEXTUAL_DRIVER": "textual.drivers.web_driver:WebDriver"}
    with subprocess.Popen(
        shlex.split(command(tmp_path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"__GANGLION__\n"  # by which textual-serve knows one
        process.kill()


def test_a_root_with_odd_characters_stays_one_word_of_the_command() -> None:
    root = Path("/tmp/a b;rm -rf $HOME'")
    assert shlex.split(command(root))[-1] == str(root)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("evil", False)]
)
def test_what_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_pages_of_other_sites_and_other_names_are_refused() -> None:
    known = {"127.0.0.1:8000", "localhost:8000"}
    assert refusal("localhost:8000", "", known) == ""
    assert refusal("localhost:8000", "http://localhost:8000", known) == ""
    assert refusal("localhost:8000", "http://evil.example", known)
    assert refusal("localhost:8000", "http://localhost:9000", known)
    assert refusal("localhost:8000", "null", known)
    assert refusal("evil.example:8000", "http://evil.example:8000", known)


def test_the_advice_fits_the_reason_for_which_an_address_cannot_be_had() -> None:
    assert "--port" in way_around(OSError(errno.EADDRINUSE, "in use"))
    assert "--host" in way_around(OSError(errno.EADDRNOTAVAIL, "not of this machine"))
