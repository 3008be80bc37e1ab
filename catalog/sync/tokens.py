"""The MAST token: where it is found. It is handed to the download client and to nothing else."""

from __future__ import annotations

import os

VARIABLE = "MAST_API_TOKEN"
SERVICE = "astroquery:mast.stsci.edu.token"
USER = "masttoken"


class Token:
    """A secret that prints as stars."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return f"token {self._secret}"

    def __repr__(self) -> str:
        return "Token('***')"

    def __reduce__(self) -> str:
        raise TypeError("a token is not written anywhere")


def find_token() -> Token | None:
    """Look in the environment, then in the system's keyring, where astroquery keeps it as well.

    Returns
    -------
    Token or None
        None where there is none, or where the keyring cannot be asked.
    """
    secret = os.environ.get(VARIABLE) or _from_keyring()
    return Token(secret) if secret and usable(secret) else None


def usable(secret: str) -> bool:
    """Whether a text can be sent as a token at all."""
    return bool(secret.strip()) and secret.strip().isascii() and secret.strip().isprintable()


def _from_keyring() -> str | None:
    import keyring
    import keyring.errors

    try:
        secret = keyring.get_password(SERVICE, USER)
    except (keyring.errors.KeyringError, RuntimeError, OSError):
        return None
    return str(secret) if secret else None


def keep_token(secret: str) -> None:
    """Store a token in the system's keyring, for this tool and for astroquery.

    Raises
    ------
    keyring.errors.KeyringError
        Where there is no keyring.
    """
    import keyring

    keyring.set_password(SERVICE, USER, secret.strip())
