"""The client for object stores (S3), which is an extra: how it is found, and how its requests leave this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from catalog.errors import UsageError
from catalog.network.routes import named_certificates, proxy_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_LONGEST = "24h"
"""The time for one object. The store's own 30 s would end every large file."""


def s3_store(asked: str) -> Any:
    """Return the class of stores that speak S3.

    Parameters
    ----------
    asked : str
        What the user asked for, for the message.

    Raises
    ------
    UsageError
        If the client for object stores is not installed.
    """
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise UsageError(f"{asked} needs one more package: pip install 'mastlake[cloud]'") from error
    return S3Store


def client_options(address: str) -> ClientConfig:
    """Return proxy, certificates and time-outs, as all clients here use them, in the form of the object store.

    Parameters
    ----------
    address : str
        The address of the store.

    Raises
    ------
    UsageError
        If the environment names a proxy or certificates that are none.
    """
    options: ClientConfig = {"connect_timeout": "15s", "read_timeout": "60s", "timeout": _LONGEST}
    if address.startswith("http:"):
        options["allow_http"] = True
    if proxy := proxy_of(address):
        options["proxy_url"] = proxy
    else:  # this host is reached without a proxy; else the store would read the environment by its own rules
        options["proxy_url"] = "http://127.0.0.1:9"
        options["proxy_excludes"] = urlsplit(address).hostname or ""
    if named := named_certificates():
        options["root_certificate"] = named
        if proxy and proxy.startswith("https:"):
            options["proxy_ca_certificate"] = named.decode("ascii", "replace")
    return options
