"""The console in a browser, by textual-serve: the same app, a process of it for each page that is open."""

from __future__ import annotations

import errno
import ipaddress
import shlex
import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nanocore.errors import ResourceError, UsageError

LOOPBACK = "127.0.0.1"
# The page of textual-serve asks for a font from elsewhere; without it the browser takes one of its own.
OWN_ONLY = "style-src 'self' 'unsafe-inline'; font-src 'self' data:"


def command(root: Path) -> str:
    """What starts the app over a run root, as a shell would read it: textual-serve takes nothing else."""
    return shlex.join([sys.executable, "-P", "-m", "nanoconsole", "--runs", str(root)])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(host: str, origin: str, known: Collection[str]) -> str:
    """Why a request is refused, "" when it may pass: its Host names this server, its Origin, if any, a page of it.

    Without this any page open in the same browser could type into the console: browsers let a page open a WebSocket to
    anywhere, and a name of an attacker's may point to this machine.
    """
    if host not in known:
        return "this server does not go by that name"
    if origin and (urlsplit(origin).scheme not in ("http", "https") or urlsplit(origin).netloc != host):
        return "another site's page may not use this server"
    return ""


def serve(root: Path, host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C; `ready` is called when it begins. Raises UsageError without textual-serve, ResourceError when the port cannot be had."""
    try:
        from textual_serve.server import Server  # pyright: ignore[reportMissingImports]
    except ImportError:
        fix = "install it: pip install 'nanoconsole[web]'"
        raise UsageError("the web console needs textual-serve, which is not installed", fix=fix) from None
    server = Server(command(root), host=host, port=port, title="nanoconsole")
    names = {f"{host}:{port}", *([f"localhost:{port}", f"{LOOPBACK}:{port}"] if is_loopback(host) else [])}
    server.initialize_logging = lambda: None  # its own talk would stand among ours

    async def begun(_app: object) -> None:
        ready()

    server.on_startup = begun
    make_app = server._make_app

    async def guarded() -> Any:
        app = await make_app()
        app.middlewares.append(_guard(names))
        return app

    server._make_app = guarded
    try:
        server.serve()
    except OSError as error:
        what = f"port {port} of {host} cannot be had: {error.strerror}"
        raise ResourceError(what, fix=way_around(error)) from None


def way_around(error: OSError) -> str:
    """What to do where an address cannot be listened at: the port is taken or not allowed, else the host is none here."""
    taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
    return "choose another with --port" if taken else "check the address given with --host"


def _guard(names: Collection[str]) -> Any:
    from aiohttp import web  # pyright: ignore[reportMissingImports]

    @web.middleware
    async def guard(request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        if reason := refusal(request.headers.get("Host", ""), request.headers.get("Origin", ""), names):
            raise web.HTTPForbidden(text=reason)
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = OWN_ONLY
        return response

    return guard
