"""`nanoconsole web`: the console in a browser of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from nanoconsole.cli.options import Json, Runs, examples
from nanoconsole.cli.output import emit_line, say, tell

WARNING = "anyone who reaches this address can launch, stop and delete runs, and read what this user can; there is no password"


def register(app: typer.Typer) -> None:
    far = "\n\nFrom another machine: ssh -L 8000:localhost:8000 HOST nanoconsole web"
    app.command("web", epilog=examples("web", "web --port 8123") + far)(web)


def web(
    host: Annotated[str, typer.Option("--host", help="Address to listen at; others than loopback are open to all.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = 8000,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Open the console in a browser.

    The same app, for as long as this command runs (Ctrl-C ends it); training goes on. Reachable from this machine only,
    unless --host says otherwise: then anyone who reaches it controls it. Needs the extra "web".
    """
    from nanoconsole.services.web import is_loopback, serve
    from nanocore.runs.layout import run_root

    if not is_loopback(host):
        say(f"warning: {WARNING}")

    def ready() -> None:
        url = f"http://{host}:{port}/"
        emit_line({"url": url, "loopback": is_loopback(host)}) if json else tell(url)

    serve(run_root(runs), host, port, ready)
