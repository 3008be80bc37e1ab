"""An offline MAST, for use from Python or as a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from catalog.missions import JWST
from catalog.simulator import edits
from catalog.simulator.archive_tables import ArchiveOptions, row_counts
from catalog.simulator.changes import Rates, move_to
from catalog.simulator.server import TOKEN, Service, SimulatorServer
from catalog.simulator.state import ArchiveState, Digests

DEFAULT_FILES = 4000
_TRUE_DIGESTS_UP_TO = 50_000


class Simulator:
    """A made-up archive, served over HTTP on loopback while the ``with`` block runs.

    Parameters
    ----------
    files : int
        The least number of files that the keyword searches of all services together list at epoch 0.
    seed : int
        The same arguments make the same rows and bytes.
    instruments : iterable of str
        The services that have files (default: all six).
    digests : {'true', 'nominal'}, optional
        ``true``: every ``checksum`` is the MD5 of the bytes that are served; it is computed when it is first asked for.
        ``nominal``: digests are made up, and downloads do not match them; this is for benchmarks of searches over
        archives that are too large to make every file. The default is ``true`` up to 50,000 files.
    file_bytes : int, optional
        A length to which FITS files are filled up, within 26 kB; they are sent without being held in memory.
    latency_ms : float
        The pause before the first byte of every answer.
    retry_after_s : int
        The value of ``Retry-After`` in answers 429 and 503.
    cache_answers : bool
        Keep whole answers, compressed, so that the same question costs next to nothing the second time; then the order
        of rows is the same every time, too. Lists of products are made anew, which is cheap. This is for benchmarks.
    port : int
        The port; 0 lets the system choose one.

    Examples
    --------
    >>> with Simulator(files=200) as archive:
    ...     archive.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        files: int = DEFAULT_FILES,
        seed: int = 1,
        *,
        instruments: Iterable[str] = tuple(JWST.services),
        digests: Digests | None = None,
        file_bytes: int | None = None,
        latency_ms: float = 0.0,
        retry_after_s: int = 1,
        cache_answers: bool = False,
        port: int = 0,
    ) -> None:
        options = ArchiveOptions(files, seed, tuple(instruments), file_bytes)
        kind_of_digests: Digests = digests or ("true" if files <= _TRUE_DIGESTS_UP_TO else "nominal")
        self.state = ArchiveState(options, kind_of_digests)
        self._service = Service(
            self.state,
            self.control,
            latency_s=latency_ms / 1000,
            retry_after_s=retry_after_s,
            cache_answers=cache_answers,
        )
        self._server = SimulatorServer(port, self._service)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve from a new thread."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="simulator")
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, and free the port and the memory."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        with self.state.lock:
            self.state.con.close()

    def serve_forever(self) -> None:
        """Serve from this thread, until interrupted."""
        self._server.serve_forever()

    @property
    def url(self) -> str:
        """The address of the archive, which a client uses as its server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def token(self) -> str:
        """The token for exclusive files."""
        return TOKEN

    @property
    def epoch(self) -> int:
        """The epoch, which is the archive's present time."""
        return self.state.epoch

    def advance(self, epochs: int = 1, rates: Rates | None = None) -> int:
        """Let time pass, 90 days for each epoch; return the epoch that is reached."""
        move_to(self.state, self.state.epoch + epochs, rates or Rates())
        return self.state.epoch

    def move_to(self, epoch: int) -> None:
        """Bring the archive to an epoch; going back forgets edits made by hand."""
        move_to(self.state, epoch, Rates())

    def faults(self, **counts: int) -> None:
        """Order faults for a number of requests. See `catalog.simulator.FAULTS`."""
        self._service.faults.order(counts)

    def settings(
        self,
        *,
        latency_ms: float | None = None,
        max_obsids: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Change the behaviour of the archive from now on; a ``max_obsids`` of 0 means no limit."""
        if latency_ms is not None:
            self._service.latency_s = latency_ms / 1000
        if max_obsids is not None:
            self.state.max_obsids = max_obsids
        if retry_after_s is not None:
            self._service.retry_after_s = retry_after_s

    def stats(self) -> dict[str, int]:
        """Return requests, rows and bytes served so far."""
        return self._service.stats.as_dict()

    def reset_stats(self) -> None:
        """Count from zero again."""
        self._service.stats.reset()

    def counts(self) -> dict[str, int]:
        """Return how many files each keyword search lists now."""
        with self.state.reading() as con:
            return row_counts(con)

    def filenames(self, instrument: str, where: str = "true") -> list[str]:
        """Return the files that one keyword search lists, in a stable order; ``where`` is SQL over its columns."""
        name = '"fileName"' if instrument == "guidestar" else "filename"
        with self.state.reading() as con:
            rows = con.execute(
                f"SELECT {name} FROM si_{instrument} WHERE NOT _gone AND ({where}) ORDER BY _file"
            ).fetchall()
        return [str(row[0]) for row in rows]

    def withdraw(self, filenames: Iterable[str]) -> None:
        """Take files out of the archive."""
        edits.withdraw(self.state, list(filenames))

    def restore(self, filenames: Iterable[str]) -> None:
        """Put withdrawn files back as they were."""
        edits.withdraw(self.state, list(filenames), gone=False)

    def reprocess(self, filenames: Iterable[str], *, keep_size: bool | None = None) -> None:
        """Process files again under their names; by default, about 4 in 10 keep their length."""
        edits.reprocess(self.state, list(filenames), keep_size)

    def stale(self, filenames: Iterable[str], *, stale: bool = True) -> None:
        """Set ``isStale`` of files and nothing else."""
        edits.set_stale(self.state, list(filenames), stale)

    def edit(self, filename: str, column: str, value: object) -> None:
        """Set one column of one file without a trace: bytes, checksum and time of ingest stay."""
        edits.edit(self.state, filename, column, value)

    def add_file(self, filename: str, like: str, **columns: object) -> None:
        """Ingest a new file whose row is like another file's, except for the columns given."""
        edits.add_file(self.state, filename, like, columns)

    def add_column(
        self, instrument: str, name: str, kind: str, value: object, filenames: Iterable[str] | None = None
    ) -> None:
        """Give answers a column that they never had, with a value in the named files or in all files.

        ``kind`` is a type of an answer's ``fields``: string, int, float, date or boolean.
        """
        column = edits.NewColumn(instrument, name, kind, value)
        edits.add_column(self.state, column, None if filenames is None else list(filenames))

    def rights(self, obs_ids: Iterable[str], *, exclusive: bool) -> None:
        """Make observations exclusive or public, with all their files."""
        edits.set_rights(self.state, list(obs_ids), exclusive)

    def renumber(self, obs_ids: Iterable[str]) -> None:
        """Give observations another ``obsid``."""
        edits.renumber(self.state, list(obs_ids))

    def control(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an order from ``POST /_control``.

        Parameters
        ----------
        order : mapping
            ``at`` (an epoch), ``advance`` (epochs), ``faults`` (counts by name; ``max_obsids`` is allowed among
            them), ``latency_ms``, ``max_obsids``, ``retry_after_s``, and ``edits``: a list of objects
            ``{"do": NAME, ...}`` with the name of a method of this class, as withdraw, restore, reprocess, stale,
            edit, add_file, add_column, rights or renumber, and its arguments by name.

        Raises
        ------
        ValueError
            If the order cannot be carried out.
        """
        if "at" in order:
            self.move_to(int(order["at"]))
        if "advance" in order:
            self.advance(int(order["advance"]))
        counts = dict(order.get("faults") or {})
        if "max_obsids" in counts:
            self.settings(max_obsids=counts.pop("max_obsids"))
        self.faults(**counts)
        names = ("latency_ms", "max_obsids", "retry_after_s")
        self.settings(**{name: order[name] for name in names if name in order})
        for each in order.get("edits") or []:
            self._edit_by_name(dict(each))
        return {"at": self.epoch, "faults": self._service.faults.due()}

    def _edit_by_name(self, arguments: dict[str, Any]) -> None:
        methods: dict[str, Callable[..., None]] = {
            "withdraw": self.withdraw, "restore": self.restore, "reprocess": self.reprocess, "stale": self.stale,
            "edit": self.edit, "add_file": self.add_file, "add_column": self.add_column, "rights": self.rights,
            "renumber": self.renumber,
        }  # fmt: skip
        name = arguments.pop("do", None)
        if name not in methods:
            raise ValueError(f"no edit {name!r}; there are {', '.join(methods)}")
        methods[name](**arguments)


def serve_forever(
    port: int = 0,
    *,
    files: int | None = None,
    seed: int = 1,
    ready: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve a made-up archive until interrupted.

    Parameters
    ----------
    port : int
        The port; 0 lets the system choose one.
    files : int, optional
        The same as in `Simulator`; by default, the `Simulator`'s default.
    seed : int
        The same as in `Simulator`.
    ready : callable, optional
        Called with the archive's address once it answers.
    **options
        Further arguments of `Simulator`.
    """
    archive = Simulator(DEFAULT_FILES if files is None else files, seed, port=port, **options)
    try:
        if ready is not None:
            ready(archive.url)
        archive.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        archive.stop()
