"""What can go wrong that a user can cause or mend.

::

    MastlakeError
    ├── UsageError               exit 2: the question is wrong
    │   ├── UnknownKeyword
    │   ├── BadValue
    │   ├── NoSuchSearch
    │   └── OtherArchive         a search of one archive, asked of another
    ├── ArchiveError             exit 1: the archive did not give an answer
    │   ├── Unreachable          no connection, or no answer in time
    │   ├── Untrusted            TLS failed: a certificate, or no TLS at all
    │   ├── ProxyFault           the proxy on the way does not answer, or refuses
    │   ├── Refused              an answer that says no: HTTP 4xx, status ERROR
    │   │   └── QueryTimeout     status ERROR that a smaller question may avoid
    │   ├── Overloaded           HTTP 429 and 5xx; may say when to come back
    │   ├── Garbled              an answer that is not in the protocol
    │   ├── Incomplete           answers that do not add up to the archive's own count
    │   ├── Emptied              a search that matched something matches nothing
    │   └── OutOfTime            the limit that the user set for the whole run
    ├── CatalogError             exit 1: the catalog file
    │   ├── NotACatalog
    │   ├── CatalogLocked
    │   ├── CatalogTooNew
    │   ├── CatalogUnwritable    folder, permission or disk space
    │   └── QuestionStopped      a question took too long, or was cancelled
    └── DiskError                exit 1: files outside the catalog

Anything else that is raised is a bug, and shows its traceback.
"""

from __future__ import annotations


class MastlakeError(Exception):
    """Something that a user can cause or mend; its text is one line that says what to do."""

    exit_code = 1


class UsageError(MastlakeError):
    """The question is wrong; nothing was asked or changed."""

    exit_code = 2


class UnknownKeyword(UsageError):
    """A keyword that the archive does not search by."""


class BadValue(UsageError):
    """A value that the keyword cannot have, or a malformed range, list or date."""


class NoSuchSearch(UsageError):
    """A search of that name was never saved."""


class OtherArchive(UsageError):
    """A saved search was harvested from another archive; nothing was asked."""


class ArchiveError(MastlakeError):
    """The archive did not give an answer."""


class Unreachable(ArchiveError):
    """No connection, or no answer in time."""


class Untrusted(ArchiveError):
    """A TLS connection could not be made, and would not be the next time: its certificate is not trusted."""


class ProxyFault(ArchiveError):
    """The proxy that the environment names does not answer, or does not let the request pass."""


class Refused(ArchiveError):
    """The archive answered, and the answer is no."""


class QueryTimeout(Refused):
    """The archive gave up on the question; a smaller one may pass."""


class Overloaded(ArchiveError):
    """The archive asks for patience (HTTP 429 or 5xx).

    Parameters
    ----------
    message : str
        One line for the user.
    retry_after : float, optional
        Seconds to wait, where the archive said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Garbled(ArchiveError):
    """The answer is not in MAST's protocol: HTML, cut JSON, missing members."""


class Incomplete(ArchiveError):
    """The answers do not add up to the archive's own count."""


class Emptied(ArchiveError):
    """A search that matched something matches nothing now; nothing was changed until a person says that it is so."""


class OutOfTime(ArchiveError):
    """The time that the user gave the whole run is over."""


class CatalogError(MastlakeError):
    """The catalog file cannot be used."""


class NotACatalog(CatalogError):
    """The file is no DuckDB database, or holds something else."""


class CatalogLocked(CatalogError):
    """Another process is writing the catalog."""


class CatalogTooNew(CatalogError):
    """The catalog was written by a newer mastlake."""


class CatalogUnwritable(CatalogError):
    """The folder, the permissions or the disk space do not allow writing."""


class QuestionStopped(CatalogError):
    """A question took longer than it may, or was cancelled; the catalog did not change."""


class DiskError(MastlakeError):
    """A folder or file outside the catalog cannot be used."""
