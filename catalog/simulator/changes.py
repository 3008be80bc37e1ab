"""Changes of an archive: time that passes, and edits by hand.

One epoch is 90 days. A step forward ingests what was planned for it, processes some exposures again under their old
names, withdraws a few files, brings a few back, changes staleness, and moves observations between public and
exclusive. The seed decides all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.missions import JWST
from catalog.simulator.columns import CAL_VERSIONS, CRDS_CONTEXTS, SDP_VERSIONS
from catalog.simulator.file_layout import BLOCK, MAX_PAD
from catalog.simulator.plan import EPOCH_DAYS, epoch_end_mjd
from catalog.simulator.state import ArchiveState, FileNumbers


@dataclass(frozen=True)
class Rates:
    """The shares of the archive that change in one epoch.

    Attributes
    ----------
    reprocessed : float
        Exposures and level-3 products that are processed again, with all their files.
    withdrawn : float
        Files that are withdrawn; a third of them is back an epoch later.
    stale : float
        Files whose staleness changes, without a new time of ingest.
    closed : float
        Visits that become exclusive.
    renumbered : float
        Of the observations that are processed again, those that get another ``obsid``.
    lost_links : float
        Of the level-3 files, those that leave the keyword search but stay among CAOM's products.
    """

    reprocessed: float = 0.12
    withdrawn: float = 0.015
    stale: float = 0.02
    closed: float = 0.03
    renumbered: float = 0.4
    lost_links: float = 0.06


def move_to(state: ArchiveState, epoch: int, rates: Rates) -> None:
    """Bring the archive to an epoch. To go back, it begins again at epoch 0, without the edits made by hand.

    Raises
    ------
    ValueError
        If the epoch is negative.
    """
    if epoch < 0:
        raise ValueError(f"no epoch {epoch}: they begin at 0")
    with state.lock:
        if epoch < state.epoch:
            state.rebuild()
        while state.epoch < epoch:
            _next_epoch(state, rates)


def _next_epoch(state: ArchiveState, rates: Rates) -> None:
    state.epoch += 1
    state.edits = 0
    for instrument in JWST.services:
        _change_files(state, f"si_{instrument}", rates)
    _change_observations(state, rates)
    _arrive(state)
    state.touched()


def _arrive(state: ArchiveState) -> None:
    now = {"epoch": state.epoch}
    for table in (*(f"si_{instrument}" for instrument in JWST.services), "product"):
        state.con.execute(f"UPDATE {table} SET _gone = false WHERE _born = $epoch AND _gone", now)
    state.con.execute("UPDATE observation SET _gone = (_planned IS NOT NULL) WHERE _born = $epoch", now)


def _change_files(state: ArchiveState, table: str, rates: Rates) -> None:
    """Withdraw, bring back, change and process again some of the files that existed before."""
    con, epoch = state.con, state.epoch
    old = f"_born < {epoch}"
    gone = f"{old} AND NOT _gone AND u(_file, 'withdraw {epoch}') < $share"
    back = f"_born < {epoch - 1} AND _gone AND u(_file, 'withdraw {epoch - 1}') < $share / 3"
    for where, flag in ((back, "false"), (gone, "true")):
        file_numbers = con.execute(f"SELECT _file FROM {table} WHERE {where}", {"share": rates.withdrawn}).fetchnumpy()[
            "_file"
        ]
        set_gone(state, table, [int(number) for number in file_numbers], flag)
    con.execute(
        f"UPDATE {table} SET _gone = true"
        f" WHERE {old} AND \"productLevel\" = '3' AND u(_file, 'unlist {epoch}') < $share",
        {"share": rates.lost_links},
    )
    con.execute(
        f'UPDATE {table} SET "isStale" = NOT "isStale" WHERE {old} AND u(_file, \'flip {epoch}\') < $share',
        {"share": rates.stale},
    )
    reprocessed = con.execute(
        f"SELECT _file FROM {table} WHERE {old} AND u(_unit, 'process {epoch}') < $share", {"share": rates.reprocessed}
    ).fetchnumpy()["_file"]
    first_ms = f"ms({epoch_end_mjd(epoch - 1) + 0.15 * EPOCH_DAYS})"
    moment = (
        f"{first_ms} + CAST(u(_unit, 'ingest {epoch}') * {0.8 * EPOCH_DAYS * 86_400_000} AS BIGINT) + _file % 16 * 47"
    )
    process_again(state, table, reprocessed, moment)


def set_gone(state: ArchiveState, table: str, files: FileNumbers, flag: str) -> None:
    """Withdraw files from the keyword search and from the products, or bring them back."""
    with state.numbers(files) as these:
        state.con.execute(f"UPDATE {table} SET _gone = {flag} WHERE _file IN {these}")
        state.con.execute(f"UPDATE product SET _gone = {flag} WHERE _file IN {these}")


def process_again(
    state: ArchiveState, table: str, files: FileNumbers, moment: str, keep_size: bool | None = None
) -> None:
    """Give files a new version under their old name: newer software, other bytes, a later ingest.

    Parameters
    ----------
    state : ArchiveState
        The archive.
    table : str
        The table of the keyword search that lists the files.
    files : sequence of int
        The numbers of the files.
    moment : str
        SQL of the time of ingest, in milliseconds.
    keep_size : bool, optional
        Whether the length stays the same; by default it does for about 4 in 10 files.
    """
    pad = _next_pad(keep_size)
    software = min(state.epoch, len(CAL_VERSIONS) - 1)
    for key in [(table, int(number)) for number in files if (table, int(number)) in state.made_from]:
        del state.made_from[key]
    named = {
        "cal": CAL_VERSIONS[software], "context": f"jwst_{CRDS_CONTEXTS[software]}.pmap", "sdp": SDP_VERSIONS[software],
    }  # fmt: skip
    with state.numbers(files) as these:
        state.con.execute(
            f"""
            UPDATE {table} SET _version = _version + 1, _pad = {pad},
                "fileSize" = "fileSize" + ({pad} - _pad) * {BLOCK}, checksum = NULL,
                date = {moment} - 96000, date_mjd = mjd({moment} - 96000),
                "ingestStartDate" = {moment} - 84000, "ingestStartDate_mjd" = mjd({moment} - 84000),
                "ingestCompletionDate" = {moment}, "ingestCompletionDate_mjd" = mjd({moment}),
                cal_ver = $cal, crds_ctx = $context, sdp_ver = $sdp
            WHERE _file IN {these}
            """,
            named,
        )
        state.con.execute(_PRODUCTS_SQL.format(table=table, these=these))


_PRODUCTS_SQL = """
    UPDATE product SET size = s."fileSize", prvversion = s.cal_ver FROM {table} s
    WHERE product._file = s._file AND s._file IN {these}
"""


def _next_pad(keep_size: bool | None) -> str:
    """Return SQL for the blocks of the ASDF extension in a file's next version: the same number, or surely another."""
    if keep_size:
        return "_pad"
    low = f"greatest(0, _pad - {MAX_PAD})"
    step = "CAST(u(_file, concat('pad ', _version)) * 6 AS BIGINT)"
    other = f"{low} + (_pad - {low} + {step}) % {MAX_PAD} + 1"
    if keep_size is None:
        return f"CASE WHEN u(_file, concat('size ', _version)) < 0.4 THEN _pad ELSE {other} END"
    return other


def _change_observations(state: ArchiveState, rates: Rates) -> None:
    """Make released observations public, make a few exclusive, and renumber some that were processed again."""
    con, epoch = state.con, state.epoch
    now, closing = epoch_end_mjd(epoch), f"_born < {epoch} AND u(_visit, 'close {epoch}') < $share"
    con.execute("UPDATE observation SET \"dataRights\" = 'PUBLIC' WHERE t_obs_release <= $now", {"now": now})
    con.execute(
        f"UPDATE observation SET \"dataRights\" = 'EXCLUSIVE_ACCESS', t_obs_release = $until WHERE {closing}",
        {"until": now + 180.0, "share": rates.closed},
    )
    con.execute(
        f"""
        UPDATE observation SET obsid = (obsid::BIGINT + 300000000)::VARCHAR
        WHERE _born < {epoch} AND _unit IS NOT NULL AND u(_unit, 'process {epoch}') < $share
            AND u(_unit, 'renumber {epoch}') < $renumbered
        """,
        {"share": rates.reprocessed, "renumbered": rates.renumbered},
    )
