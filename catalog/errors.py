"""Errors that a user can cause or mend.

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
    │   ├── RowsRemoved          upkeep removed files of rows that a question still read
    │   └── QuestionStopped      a question took too long, or was cancelled
    ├── DiskError                exit 1: files outside the catalog
    └── ExecutorError            exit 1: the executor or the cluster that reads headers

Any other exception is a bug, and shows its traceback.
"""

from __future__ import annotations


class MastlakeError(Exception):
    """Something that a user can cause or mend; its text is one line that says what to do."""

    exit_code = 1


class UsageError(MastlakeError):
    """The question is wrong; nothing was asked or changed."""

    exit_code = 2


class UnknownKeyword(UsageError):
    """The archive cannot search by this keyword."""


class BadValue(UsageError):
    """A value that the keyword cannot have, or a malformed range, list or date."""


class NoSuchSearch(UsageError):
    """No search is saved under this name."""


class OtherArchive(UsageError):
    """A saved search was harvested from another archive; nothing was asked."""


class ArchiveError(MastlakeError):
    """The archive did not give an answer."""


class Unreachable(ArchiveError):
    """There was no connection, or no answer in time."""


class Untrusted(ArchiveError):
    """A TLS connection is not possible, now or later, because a certificate is not trusted."""


class ProxyFault(ArchiveError):
    """The proxy that the environment names does not answer, or refuses the request."""


class Refused(ArchiveError):
    """The archive answered with a refusal."""


class QueryTimeout(Refused):
    """The archive ran out of time for the question; a smaller question may succeed."""


class Overloaded(ArchiveError):
    """The archive asks clients to wait (HTTP 429 or 5xx).

    Parameters
    ----------
    message : str
        One line for the user.
    retry_after : float, optional
        How many seconds to wait, if the archive tells it.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Garbled(ArchiveError):
    """The answer does not follow MAST's protocol: HTML, cut JSON, missing members."""


class Incomplete(ArchiveError):
    """The answers do not agree with the archive's own count."""


class Emptied(ArchiveError):
    """A search that matched something matches nothing now; nothing is changed until a person confirms it."""


class OutOfTime(ArchiveError):
    """The time that the user allowed for the whole run is over."""


class CatalogError(MastlakeError):
    """The catalog file cannot be used."""


class NotACatalog(CatalogError):
    """The file is no DuckDB database, or contains something else."""


class CatalogLocked(CatalogError):
    """Another process has the catalog open for writing."""


class RowsRemoved(CatalogError):
    """Upkeep removed files of rows that a question still read; asked again, it reads the newest ones."""


class CatalogTooNew(CatalogError):
    """A newer mastlake has written the catalog."""


class CatalogUnwritable(CatalogError):
    """Folder, permissions or disk space do not allow writing."""


class QuestionStopped(CatalogError):
    """A question took longer than allowed, or was cancelled; the catalog did not change."""


class DiskError(MastlakeError):
    """A folder or file outside of the catalog cannot be used."""


class ExecutorError(MastlakeError):
    """The executor or the cluster that reads headers is not there, ended, or does not see the files."""
