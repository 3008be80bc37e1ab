"""One file: it is fetched, proven, and given its name.

Whatever the archive sends goes to an unfinished file (`partial`). This gets its final name only when its length, its
structure, and its MD5 if the archive lists one, are right. If they are not, the archive is first asked for the file's
present row, since it may have processed the file again meanwhile. Then the bytes are fetched once more, from no cache.
If they are still wrong, they are put aside.

If the archive lists no MD5, the length that it lists is only advice: for association files, pools and previews it is
often that of an older version. Then a whole answer of another length is accepted, and noted as a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import ArchiveError, DiskError, MastlakeError
from catalog.sync.partial import Identity, PartialFile
from catalog.sync.plan import Item
from catalog.sync.receive import AskCurrent, Current, Receiver, SharedTransfers, WrongAnswer
from catalog.sync.replaced_files import FileBefore, keep_old, look_before
from catalog.sync.verification import Problem, ProvenFile, judge

__all__ = ["AskCurrent", "Current", "Mismatch", "SharedTransfers", "transfer"]


class Mismatch(MastlakeError):
    """The bytes are not what the archive lists.

    Parameters
    ----------
    message : str
        The message.
    kept : Path, optional
        The path where the bytes were put.
    digest_only : ProvenFile, optional
        The file that they would be, if only their MD5 is not as listed, and the same bytes came each time: perhaps
        the archive's checksum is no MD5.
    """

    def __init__(self, message: str, kept: Path | None = None, digest_only: ProvenFile | None = None) -> None:
        super().__init__(message)
        self.kept = kept
        self.digest_only = digest_only


def transfer(shared: SharedTransfers, item: Item, on_bytes: Callable[[int], None] = lambda count: None) -> ProvenFile:
    """Fetch one item, or find that it is here already.

    Parameters
    ----------
    shared : SharedTransfers
        The objects that all transfers of the sync share.
    item : Item
        The product, and its path.
    on_bytes : callable
        Called with the number of bytes, each time some come.

    Raises
    ------
    PersonsOwn
        If the bytes on disk are a person's own and stay.
    Mismatch, ArchiveError, DiskError, OSError
        If the item could not be fetched; the file with its final name did not change.
    Stopped, Halted
        If the sync was told to stop.
    """
    final = Path(item.path)
    if reason := shared.places.problem(final):
        raise DiskError(reason)
    shared.places.make_folder(final.parent)
    before = look_before(item, shared.old_bytes)
    if isinstance(before, ProvenFile):
        return before
    part = PartialFile(final, Identity(item.data_uri, item.checksum, item.size))
    try:
        return _Job(shared, item, part, before, Receiver(shared, item, part, on_bytes)).run()
    finally:
        part.close()


@dataclass
class _Job:
    """One transfer: what is received is judged, and if necessary judged again."""

    shared: SharedTransfers
    item: Item
    part: PartialFile
    before: FileBefore
    receiver: Receiver
    findings: tuple[str, ...] = ()

    def run(self) -> ProvenFile:
        resumed = self.part.found > 0
        problem = self._receive()
        if problem:
            problem = self._as_it_is_now(problem)
        if problem is None:
            return self._finish(resumed and self.part.found > 0)
        before, first = self.part.digest(), problem
        if problem.kind != "digest" or not self.shared.doubtful():
            if self._listed_size_is_advice(problem):
                self.receiver.size = None
            self.receiver.again()
            problem = self._receive()
        if problem is None:
            self._note_length()
            return self._finish(resumed=False)
        if problem.kind == first.kind == "untold" and self.part.digest() == before:
            self.findings = ("the archive does not tell its length; it sent the same bytes twice",)
            return self._finish(resumed=False)
        raise self._put_aside(problem, before)

    def _receive(self) -> Problem | None:
        """Receive the bytes, and return what is wrong with them."""
        try:
            self.receiver.receive()
        except WrongAnswer as wrong:
            return wrong.problem
        return self._judge()

    def _judge(self) -> Problem | None:
        size = self.receiver.size
        judgement = judge(replace(self.item, size=size), self.part)
        self.findings = judgement.findings
        if judgement.problem is None and self.item.checksum is None and size is None and not self.receiver.told:
            return Problem("untold", "the archive lists no length, and sends none: nothing tells whether it is whole")
        return judgement.problem

    def _listed_size_is_advice(self, problem: Problem) -> bool:
        return problem.kind == "length" and self.item.checksum is None and self.item.size is not None

    def _note_length(self) -> None:
        if self.item.size is not None and self.part.size != self.item.size:
            said = f"it has {self.part.size} bytes, the archive lists {self.item.size}, and no checksum"
            self.findings = (*self.findings, said)

    def _as_it_is_now(self, problem: Problem) -> Problem | None:
        """Ask the archive whether the file changed since the catalog was written; judge the bytes by its answer."""
        try:
            row = self.shared.current(self.item.filename) if self.shared.current else None
        except ArchiveError:
            return problem
        checksum = row.checksum.lower() if row and row.checksum else None
        if row is None or (row.size, checksum) == (self.item.size, self.item.checksum):
            return problem
        self.item = self.receiver.item = replace(self.item, size=row.size, checksum=checksum)
        self.receiver.size = row.size
        return self._judge()

    def _put_aside(self, problem: Problem, before: str) -> Mismatch:
        same = problem.kind == "digest" and self.part.digest() == before
        done = replace(self._done(resumed=False), mtime_ns=0, inode=0) if same else None
        put_aside = self.part.quarantine(self.shared.root, problem.text)
        return Mismatch(problem.text + (f"; the bytes are in {put_aside}" if put_aside else ""), put_aside, done)

    def _finish(self, resumed: bool) -> ProvenFile:
        self.part.flush()  # before the old bytes get their second name, since a person may still write them
        keep_old(self.part.final, self.before, self.shared.old_bytes, self.shared.root)
        status = self.part.finish()
        return replace(self._done(resumed), mtime_ns=status.st_mtime_ns, inode=status.st_ino)

    def _done(self, resumed: bool) -> ProvenFile:
        outcome = "replaced" if self.item.action in ("replace", "check") else "resumed" if resumed else "fetched"
        source = self.receiver.source or self.shared.sources[-1].name
        return ProvenFile(self.item, outcome, self.part.size, self.part.digest(), 0, 0, self.findings, source)
