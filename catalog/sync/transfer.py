"""One file: fetched, proven, and put under its name.

Whatever the archive sends goes to an unfinished file (`partial`). It gets its final name only when its length,
its MD5 where the archive lists one, and its structure are right. When they are not, the archive is asked
for the file's current row first, since it may have been reprocessed meanwhile; then the bytes are fetched once
more, past any cache; then they are put aside.

Where the archive lists no MD5, the length that it lists is advice: those of association files, pools and previews are
often those of an older version. Then a whole answer of another length is accepted, and noted as a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.errors import ArchiveError, DiskError, MastlakeError
from catalog.sync.partial import Identity, Part
from catalog.sync.plan import Item
from catalog.sync.receive import AskCurrent, Current, Line, Receiver, WrongAnswer
from catalog.sync.replaced_files import Before, keep_old, look
from catalog.sync.verification import Done, Problem, judge

__all__ = ["AskCurrent", "Current", "Line", "Mismatch", "transfer"]


class Mismatch(MastlakeError):
    """Bytes that are not what the archive lists.

    Parameters
    ----------
    message : str
        What is wrong.
    kept : Path, optional
        Where the bytes were put.
    digest_only : Done, optional
        What they would be, where only their MD5 is not as listed, and the same each time: the archive's
        checksum is perhaps no MD5.
    """

    def __init__(self, message: str, kept: Path | None = None, digest_only: Done | None = None) -> None:
        super().__init__(message)
        self.kept = kept
        self.digest_only = digest_only


def transfer(line: Line, item: Item, on_bytes: Callable[[int], None] = lambda count: None) -> Done:
    """Fetch one item, or find that it is here.

    Parameters
    ----------
    line : Line
        Of the sync it belongs to.
    item : Item
        What, and where to.
    on_bytes : callable
        Is told how many bytes came, each time some do.

    Raises
    ------
    PersonsOwn
        Where the bytes on disk are a person's own and stay.
    Mismatch, ArchiveError, DiskError, OSError
        Where it could not be had; what had its final name is unchanged then.
    Stopped, Halted
        Where the sync was told to end.
    """
    final = Path(item.path)
    if reason := line.places.problem(final):
        raise DiskError(reason)
    line.places.make_folder(final.parent)
    before = look(item, line.old_bytes)
    if isinstance(before, Done):
        return before
    part = Part(final, Identity(item.data_uri, item.checksum, item.size))
    try:
        return _Job(line, item, part, before, Receiver(line, item, part, on_bytes)).run()
    finally:
        part.close()


@dataclass
class _Job:
    """One transfer under way: what is received is judged, and judged again."""

    line: Line
    item: Item
    part: Part
    before: Before
    receiver: Receiver
    findings: tuple[str, ...] = ()

    def run(self) -> Done:
        resumed = self.part.found > 0
        problem = self._receive()
        if problem:
            problem = self._as_it_is_now(problem)
        if problem is None:
            return self._finish(resumed and self.part.found > 0)
        before, first = self.part.digest(), problem
        if problem.kind != "digest" or not self.line.doubtful():
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
        """Bring the bytes here, and say what is wrong with them."""
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
        """Ask the archive whether the file changed since the catalog was written; judge the bytes by that."""
        try:
            row = self.line.current(self.item.filename) if self.line.current else None
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
        kept = self.part.quarantine(self.line.root, problem.text)
        return Mismatch(problem.text + (f"; the bytes are in {kept}" if kept else ""), kept, done)

    def _finish(self, resumed: bool) -> Done:
        self.part.flush()  # before the old bytes get their second name: a person may go on writing until then
        keep_old(self.part.final, self.before, self.line.old_bytes, self.line.root)
        status = self.part.finish()
        return replace(self._done(resumed), mtime_ns=status.st_mtime_ns, inode=status.st_ino)

    def _done(self, resumed: bool) -> Done:
        outcome = "replaced" if self.item.action in ("replace", "check") else "resumed" if resumed else "fetched"
        source = self.receiver.source or self.line.sources[-1].name
        return Done(self.item, outcome, self.part.size, self.part.digest(), 0, 0, self.findings, source)
