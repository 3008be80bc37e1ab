"""The MAST token: where it is found and kept, and to which server it goes.

A token is found in the environment, or where ``login`` kept it for one server: in a file that only its owner can read,
or in the system's keyring. Only the download client gets it. A server that the user did not name gets no token, except
one that ``login`` kept for it; see `find_token`.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from catalog.defaults import SERVER as MAST
from catalog.errors import DiskError, UsageError
from catalog.process.interrupts import held_back

VARIABLE = "MAST_API_TOKEN"
SERVICE = "astroquery:mast.stsci.edu.token"
USER = "masttoken"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""The characters that can follow the scheme in an Authorization header (token68 of RFC 9110, section 11.2)."""
_SCHEME = re.compile(r"(?:token|bearer)\s+", re.IGNORECASE)


class Token:
    """A secret that is printed as stars."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"token {self._secret}"

    @property
    def cookie(self) -> str:
        """The value of the Cookie header, for a server that needs the Authorization header for something else."""
        return f"mast_token={self._secret}"

    def __repr__(self) -> str:
        return "Token('***')"

    def __reduce__(self) -> str:
        raise TypeError("a token is not written anywhere")


def origin(server: str) -> str:
    """Return a server's scheme, host and port, in one spelling.

    Examples
    --------
    >>> origin("https://MAST.stsci.edu:443/"), origin("http://127.0.0.1:8080/x")
    ('https://mast.stsci.edu', 'http://127.0.0.1:8080')
    """
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{server!r} is no address of a server; write it like {MAST}") from error
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None and port != usual else "")


def cleaned(secret: str, where: str) -> str:
    r"""Return a token without spaces around it, and without the scheme with which it was copied.

    Parameters
    ----------
    secret : str
        The token as the user gave it.
    where : str
        Where it comes from, for the error message.

    Raises
    ------
    UsageError
        If no header can hold it; the message does not show it.

    Examples
    --------
    >>> cleaned(" token abc123\n", "the pipe")
    'abc123'
    """
    text = _SCHEME.sub("", secret.strip(), count=1).strip()
    if not _TOKEN.fullmatch(text):
        odd = next((at for at, each in enumerate(text) if not _TOKEN.match(each)), len(text))
        raise UsageError(
            f"the token from {where} cannot be sent: its character {odd + 1} cannot be part of a token; copy it again"
        )
    return text


def find_token(server: str = MAST, is_named_by_user: bool = True) -> Token | None:
    """Look for the token that a server gets.

    Parameters
    ----------
    server : str
        The archive's address.
    is_named_by_user : bool
        Whether the user named the server: on the command line, in the environment or in their own settings. If not,
        and the server is not MAST, it only gets a token that was kept for it.

    Returns
    -------
    Token or None
        None if there is no token for this server.

    Raises
    ------
    UsageError
        If no header can hold the token.
    DiskError
        If others can read the file that has the token.
    """
    theirs = origin(server)
    is_named_by_user = is_named_by_user or theirs == MAST
    if is_named_by_user and (given := os.environ.get(VARIABLE, "").strip()):
        return Token(cleaned(given, VARIABLE))
    for kept_for in dict.fromkeys((theirs, MAST) if is_named_by_user else (theirs,)):
        if secret := _from_file(kept_for) or _from_keyring(kept_for):
            return Token(cleaned(secret, "login"))
    return None


def withheld(server: str, is_named_by_user: bool) -> bool:
    """Say whether there is a token that a server does not get because the user did not name the server."""
    return not is_named_by_user and find_token(server, is_named_by_user) is None and find_token(server) is not None


def _entry(kept_for: str) -> str:
    """Return the keyring's name of a server; for MAST it is astroquery's name, so that both find the same token."""
    return SERVICE if kept_for == MAST else f"mastlake:{kept_for}"


def _from_keyring(kept_for: str) -> str | None:
    import keyring
    import keyring.errors

    try:
        secret = keyring.get_password(_entry(kept_for), USER)
    except (keyring.errors.KeyringError, RuntimeError, OSError):
        return None
    return str(secret) if secret else None


def keep_token(secret: str, server: str = MAST) -> bool:
    """Keep the token of one server in the system's keyring; astroquery also uses the token of MAST.

    Returns
    -------
    bool
        False if there is no keyring that keeps it.
    """
    import keyring
    import keyring.errors

    kept_for = origin(server)
    try:
        keyring.set_password(_entry(kept_for), USER, secret)
        if keyring.get_password(_entry(kept_for), USER) != secret:  # a null keyring keeps nothing
            return False
    except (keyring.errors.KeyringError, RuntimeError, OSError):
        return False
    token_file(kept_for).unlink(missing_ok=True)
    return True


def token_file(server: str) -> Path:
    """Return the path of the file for the token of one server; it need not exist."""
    from catalog.config.trust import user_folder

    return user_folder() / "tokens" / quote(origin(server), safe="")


def keep_in_file(secret: str, server: str = MAST) -> Path:
    """Write a token to a file that only its owner can read, and return the path.

    Raises
    ------
    DiskError
        If the file cannot be written.
    """
    path = token_file(server)
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{secret}\n")
        partial.replace(path)
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with held_back(), suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def _from_file(kept_for: str) -> str | None:
    path = token_file(kept_for)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DiskError(f"cannot read {path}: {error.strerror}") from error
    with os.fdopen(handle, encoding="ascii", errors="replace") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
            raise DiskError(f"others can read {path}, so its token is not used; run: chmod 600 '{path}'")
        return file.read(10_000)
