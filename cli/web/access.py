"""Who may ask: names of hosts, a token, and where a browser's request comes from."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

COOKIE = "cdml-session"
LEAST_TOKEN = 16
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Asking:
    """What a request says of who sends it: its headers, its method and path."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def host(self) -> str | None:
        """The name in the Host header, in lower case, without its port; None where there is none."""
        return host_name(self.headers.get("host", ""))


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server.

    ``hosts``: names that a Host header may have: a page of another site that resolves to this machine is
    told from our own by that alone. ``token``: that has to be shown; None where none is needed.
    """

    hosts: frozenset[str] = field(default_factory=lambda: LOOPBACK_NAMES)
    token: str | None = None

    def refusal(self, asking: Asking) -> tuple[int, str] | None:
        """Return a status and a reason for which a request is refused; None where it may pass."""
        if asking.host not in self.hosts:
            return 421, "this server does not answer under that name; see `cdml serve --allow-host`"
        if not _of_our_own_page(asking):
            return 403, "requests from the pages of other sites are not answered"
        if self.token is not None and not is_open(asking.path) and not self._shows_token(asking):
            return 401, "a token is needed: send the header `Authorization: Bearer TOKEN`"
        return None

    def is_token(self, text: str) -> bool:
        """Say whether ``text`` is the token, in a time that tells nothing of it."""
        return self.token is not None and hmac.compare_digest(text.encode(), self.token.encode())

    @property
    def session(self) -> str:
        """What the cookie of a browser holds that has shown the token; the token cannot be found from it."""
        return hmac.new((self.token or "").encode(), b"cdml session", hashlib.sha256).hexdigest()

    def _shows_token(self, asking: Asking) -> bool:
        scheme, _, shown = asking.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(shown.strip()):
            return True
        return hmac.compare_digest(_cookie(asking.headers.get("cookie", "")).encode(), self.session.encode())


def is_open(path: str) -> bool:
    """Say whether a path shows nothing of the workspace, so that it needs no token."""
    return path in {"/", "/healthz", "/api/v1/session"} or path.startswith("/static/")


def is_loopback(host: str) -> bool:
    """Say whether an address or name that a server listens on cannot be reached from other machines."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str | None:
    """Return the name in a Host header, in lower case, without its port.

    >>> host_name("Photos.example:8765"), host_name("[::1]:8765"), host_name("")
    ('photos.example', '::1', None)
    """
    text = header.strip().lower()
    if text.startswith("["):
        name, bracket, _ = text[1:].partition("]")
        return name if bracket else None
    return text.partition(":")[0] or None


def _of_our_own_page(asking: Asking) -> bool:
    """Say whether a request comes from no page, from our own, or only opens one of our pages by a link."""
    site = asking.headers.get("sec-fetch-site", "none")
    if site in {"none", "same-origin"}:
        return True
    return asking.method == "GET" and asking.headers.get("sec-fetch-mode") == "navigate"


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
