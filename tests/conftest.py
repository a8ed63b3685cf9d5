"""Tests leave the user's own cache folder alone, and do not read the user's own settings."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

# Helpers that check say as much about what failed as tests do.
for _folder in ("continual_dml", "faults", "journeys", "storage"):
    pytest.register_assert_rewrite(f"tests.{_folder}")

# What a shell starts in the background ignores Ctrl-C; commands that tests interrupt would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield
