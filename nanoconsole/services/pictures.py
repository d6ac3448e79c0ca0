"""Where pictures of the screen are kept: with the run they show, else in the user's data folder."""

from __future__ import annotations

import time
from pathlib import Path

from nanocore.errors import ResourceError, remedy
from nanocore.runs.layout import RunFolder


def save_picture(svg: str, screen: str, run: RunFolder | None) -> Path:
    """Write a picture of `screen`; returns its path. Raises ResourceError when it cannot be written."""
    folder = run.exports_dir if run else _user_folder()
    path = folder / f"{screen}-{time.strftime('%Y%m%d-%H%M%S')}.svg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        what = f"the picture cannot be saved: {error.strerror}"
        raise ResourceError(what, where=str(path), fix=remedy(error)) from None
    return path


def _user_folder() -> Path:
    from platformdirs import user_data_path  # slow to import for what it does

    return user_data_path("nanoconsole") / "pictures"
