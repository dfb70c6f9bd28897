"""Hides passwords, tokens and query values in the addresses that are shown or logged."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"<>`]+")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*:)?/*")
_QUERY = re.compile(r"[?#;]")
_PAIR = re.compile(r"([?&;#])([^=?&;#]*=)?[^?&;#]*")
_CREDENTIALS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN")
_LETTERS_OF_A_SECRET = 4  # a shorter one is replaced only where it stands alone


def masked(address: str) -> str:
    """Hide the user, the password and the values of the query in an address of any form.

    >>> masked("postgresql://ann:secret@host/runs?sslpassword=secret")
    'postgresql://***@host/runs?sslpassword=***'
    >>> masked("token@host:5000"), masked("http://host/?token")
    ('***@host:5000', 'http://host/?***')
    """
    scheme, place, query = _parts(address)
    if "@" in query and not _is_file(scheme):
        return scheme + HIDDEN  # the end of a password with such a sign, or a value: nobody knows
    if "@" in place and not _is_file(scheme):
        place = f"{HIDDEN}@{place.rpartition('@')[2]}"
    return scheme + place + _PAIR.sub(lambda found: f"{found[1]}{found[2] or ''}{HIDDEN}", query)


def masked_text(text: str, address: str = "") -> str:
    """Hide what `masked` hides in every address of a text.

    Args:
        address: what is secret in this address, and in the environment, is hidden everywhere.
    """
    if address:
        text = text.replace(address, masked(address))
    text = _ADDRESS.sub(lambda found: masked(found[0]), text)
    secrets = _secrets(address) | {os.environ.get(name, "") for name in _CREDENTIALS}
    for secret in sorted(secrets - {"", HIDDEN}, key=len, reverse=True):
        whole = re.escape(secret)
        if len(secret) < _LETTERS_OF_A_SECRET:
            whole = rf"(?<!\w){whole}(?!\w)"
        text = re.sub(whole, HIDDEN, text)
    return text


def reason(error: BaseException, uri: str) -> str:
    """Word the innermost cause in one line; in MLflow's chains of errors it is the clearest."""
    while (inner := error.__cause__ or error.__context__) and not isinstance(inner, KeyError):
        error = inner
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return masked_text(line, uri)


def without_secrets(address: str) -> str:
    """Leave what names the place of a store, so that all its users get the same lock."""
    scheme, place, _ = _parts(address)
    return scheme + place.rpartition("@")[2]


def _parts(address: str) -> tuple[str, str, str]:
    """Split an address into its scheme, its place with the user, and its query and fragment."""
    found = _SCHEME.match(address)
    scheme = found[0] if found else ""
    # `user:password@host` has no scheme, `http:user:password@host` has one without slashes.
    if "/" not in scheme and scheme.lower() not in ("http:", "https:"):
        scheme = ""
    rest = address[len(scheme) :]
    cut = _QUERY.search(rest)
    return (scheme, rest[: cut.start()], rest[cut.start() :]) if cut else (scheme, rest, "")


def _is_file(scheme: str) -> bool:
    return scheme.startswith("file:") or (scheme.startswith("sqlite") and scheme.endswith("///"))


def _secrets(address: str) -> set[str]:
    """List what is secret in an address, in every spelling in which a library may print it."""
    scheme, place, query = _parts(address)
    found = {value for _, value in re.findall(r"([?&;#])(?:[^=?&;#]*=)?([^?&;#]*)", query)}
    if "@" in place + query and not _is_file(scheme):
        found.add((place + query).rpartition("@")[0])
    # A library that splits the address at another sign prints a part of the password.
    found |= {part for secret in found for part in re.split(r"[:@/?#;=&]", unquote(secret))}
    found -= {"localhost", "127.0.0.1"}
    spellings = (str, quote, quote_plus, unquote, unquote_plus)
    return {spelling(secret) for secret in found for spelling in spellings}
