"""Ask about many names at once, and about fewer if the archive cannot answer for so many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, Incomplete, OutOfTime, Overloaded, Unreachable

Result = TypeVar("Result")

LOST_IN_A_ROW = 3
"""How many single names in a row may get no answer from an unreachable archive before the harvest gives up."""


class Halving(Generic[Result]):
    """Asks about names in chunks. A chunk without an answer is asked for in halves, down to single names.

    Parameters
    ----------
    ask : callable
        Asks about some names, and returns the answer.
    lost : callable
        Called with a name that the archive does not answer even alone, and with the error.
    """

    def __init__(self, ask: Callable[[Sequence[str]], Result], lost: Callable[[str, ArchiveError], None]) -> None:
        self._ask, self._lost = ask, lost
        self._lost_in_a_row = 0

    def answers(self, names: Sequence[str], at_once: int, on_done: Callable[[int], None]) -> list[Result]:
        """Return an answer for each chunk of names, in order.

        Parameters
        ----------
        names : sequence of str
            The names to ask about.
        at_once : int
            How many names the first, largest chunks have.
        on_done : callable
            Called with the number of names that are done.

        Raises
        ------
        Unreachable, Overloaded
            If the archive itself cannot be reached.
        OutOfTime
            If the time of the run is over.
        """
        left = [names[start : start + at_once] for start in range(0, len(names), at_once)][::-1]
        answers: list[Result] = []
        done = 0
        while left:
            chunk = left.pop()
            try:
                answers.append(self._ask(chunk))
            except OutOfTime:
                raise
            except ArchiveError as error:
                if len(chunk) > 1:
                    middle = len(chunk) // 2
                    left += [chunk[middle:], chunk[:middle]]
                    continue
                self._give_up(chunk[0], error)
            else:
                self._lost_in_a_row = 0
            done += len(chunk)
            on_done(done)
        return answers

    def _give_up(self, name: str, error: ArchiveError) -> None:
        """Continue without one name; raise the error if the archive itself cannot be reached."""
        self._lost_in_a_row += 1
        if isinstance(error, Unreachable | Overloaded) and self._lost_in_a_row >= LOST_IN_A_ROW:
            raise error
        self._lost(name, error)


def whole_answer(answer: ArchiveAnswer) -> ArchiveAnswer:
    """Return the answer if it has all the rows that the archive counts.

    Raises
    ------
    Incomplete
        The error has both numbers.
    """
    rows = answer.rows.num_rows + answer.rows_aside
    if answer.total > rows:
        raise Incomplete(f"{answer.total} rows do not fit one answer of {rows}")
    return answer


def ask(patience: Patience, question: Callable[[], Result], several: bool) -> Result:
    """Ask about several names with little patience, since fewer names may succeed; about one name with all patience."""
    if not several:
        return patience.ask(question)
    return replace(patience, attempts=min(2, patience.attempts)).ask(question, also=())
