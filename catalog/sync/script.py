"""The same selection as one bash file, for machines that have curl and nothing else.

It keeps this package's promises as far as a shell can: a file gets its name when its length and MD5 are right,
unfinished bytes are continued only where they are of the same version, and a second run does what is left.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from catalog.errors import UsageError
from catalog.store.database import Database
from catalog.store.local_files import offer_local_files
from catalog.sync.decisions import decide
from catalog.sync.disk import DISK, PARTS
from catalog.sync.names import FLAT, Template
from catalog.sync.plan import Aim, Item, Plan
from catalog.sync.run import SERVER
from catalog.sync.selection import Selection, prepare, run_sql
from catalog.sync.source import download_path

_ROOT = Path("/-")


def script(database: Database, selection: Selection, *, server: str = SERVER, template: str = FLAT) -> str:
    """Write a bash script that fetches a selection with curl.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        What is wanted.
    server : str
        The archive's address.
    template : str
        How files lie below the folder that the script is given.

    Returns
    -------
    str
        The script. It holds no token: exclusive products take it from ``MAST_API_TOKEN`` when it runs.

    Raises
    ------
    NoSuchSearch, UsageError
        Where the selection or the template is wrong, or two products would have one path.
    """
    if urlsplit(server).scheme not in ("http", "https"):
        raise UsageError(f"--server {server} is not an http or https address")
    plan = _everything(database, selection, template)
    lines = [_line(item) for item in plan.items("fetch")]
    left_out = plan.tallies["out of reach"].items
    note = f"# Left out: {left_out} that cannot be named or are unknown to the catalog.\n" if left_out else ""
    size = plan.tallies["fetch"].bytes
    return _SCRIPT.format(
        count=len(lines), size=size, note=note, server=shlex.quote(server.rstrip("/")), files="\n".join(lines) or "  :"
    )


def _everything(database: Database, selection: Selection, template: str) -> Plan:
    """The plan of a machine that has nothing yet, and a token."""
    aim = Aim(_ROOT, Template(template), has_token=True)
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        selected = prepare(connection, selection, wanted)
        offer_local_files(connection, "false")
        return decide(connection, selected, aim, lambda folders: (DISK.empty_table(), PARTS.empty_table()))


def _line(item: Item) -> str:
    path = item.path.removeprefix(f"{_ROOT}/")
    size = "-" if item.size is None else str(item.size)
    access = f"exclusive:{item.program or 'unknown'}" if item.exclusive else "public"
    words = (path, size, item.checksum or "-", access, download_path(item.data_uri))
    return "  get " + " ".join(shlex.quote(word) for word in words)


_SCRIPT = r"""#!/usr/bin/env bash
# Fetches {count} products, {size} bytes, into the folder given as first argument (default: mast).
# Run it again to fetch what is left. JOBS=8 fetches so many at once (default 4).
# Exclusive products need your token in MAST_API_TOKEN.
{note}set -u
server={server}
dest=${{1:-mast}}
jobs=${{JOBS:-4}}

say() {{ printf '%s\n' "$*" >&2; }}

md5_of() {{
  if command -v md5sum >/dev/null; then md5sum <"$1" | cut -d ' ' -f 1; else md5 -q "$1"; fi
}}

# wrong FILE SIZE MD5 NAME: says what is wrong with a whole file; nothing where it is right.
wrong() {{
  local have
  have=$(wc -c <"$1" | tr -d ' ')
  if [ "$have" = 0 ] && [ "$2" != 0 ]; then echo "it is empty"; return; fi
  if [ "$2" != - ] && [ "$have" != "$2" ]; then echo "it has $have bytes, not $2"; return; fi
  if [ "$3" != - ] && [ "$(md5_of "$1")" != "$3" ]; then echo "its MD5 is not $3"; return; fi
  case $4 in
    *.html | *.htm) ;;
    *.fits)
      if [ "$(head -c 9 "$1")" != "SIMPLE  =" ] || [ $((have % 2880)) != 0 ]; then echo "it is not whole FITS"; fi ;;
    *) case $(head -c 64 "$1" | tr -d '\0' | tr '[:upper:]' '[:lower:]') in
         '<!doctype html'* | '<html'*) echo "it is a web page" ;;
       esac ;;
  esac
}}

# ask PART ACCESS URL ARGUMENT...: appends what the archive sends; keeps its headers beside it.
ask() {{
  local part=$1 access=$2 url=$3
  shift 3
  {{
    case $access in
      exclusive:*) printf 'header = "Authorization: token %s"\n' "${{MAST_API_TOKEN:?}}" ;;
    esac
  }} | curl --config - --silent --show-error --fail --location --globoff --connect-timeout 30 \
    --speed-limit 1 --speed-time 60 --dump-header "$part.now" "$@" -- "$server$url" >>"$part"
}}

status_of() {{ sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$1.now" 2>/dev/null | tail -n 1; }}
etag_of() {{ sed -n 's/^[Ee][Tt][Aa][Gg]: *\("[^"]*"\).*/\1/p' "$1" 2>/dev/null | tail -n 1; }}

# begin PART: the bytes so far, or none where they are not surely the start of this version.
begin() {{
  local part=$1 version=$2 md5=$3 known
  known=$(cat "$part.version" 2>/dev/null)
  if [ "$known" != "$version" ] || {{ [ "$md5" = - ] && [ -z "$(etag_of "$part.head")" ]; }}; then
    rm -f "$part" "$part.head"
    printf '%s\n' "$version" >"$part.version"
  fi
  touch "$part"
}}

# fetch PART SIZE MD5 ACCESS URL: one attempt.
fetch() {{
  local part=$1 size=$2 md5=$3 access=$4 url=$5 have tag
  begin "$part" "$url $size $md5" "$md5"
  have=$(wc -c <"$part" | tr -d ' ')
  if [ "$have" = "$size" ]; then return 0; fi
  if [ "$have" = 0 ]; then
    ask "$part" "$access" "$url"
    local result=$?
    mv -f "$part.now" "$part.head" 2>/dev/null
    cp -f "$part.head" "$part.now" 2>/dev/null
    return "$result"
  fi
  tag=$(etag_of "$part.head")
  ask "$part" "$access" "$url" --range "$have-" ${{tag:+--header "If-Range: $tag"}} || return 1
  if [ "$(status_of "$part")" != 206 ]; then rm -f "$part" "$part.version"; return 1; fi
}}

# get PATH SIZE MD5 ACCESS URL: one product; - where the archive does not say.
get() {{
  turn=$((turn + 1))
  if [ $((turn % jobs)) != "$lane" ]; then return; fi
  local path=$dest/$1 size=$2 md5=$3 access=$4 url=$5 folder part problem='' spoiled=0 attempt
  if [ -f "$path" ] && [ -z "$(wrong "$path" "$size" "$md5" "$path")" ]; then return; fi
  folder=$(dirname -- "$path")
  part=$folder/.$(basename -- "$path").curl
  case $access in
    exclusive:*) if [ -z "${{MAST_API_TOKEN:-}}" ]; then
        say "$1: exclusive to program ${{access#exclusive:}}; set MAST_API_TOKEN"; failed=1; return
      fi ;;
  esac
  if ! mkdir -p -- "$folder"; then failed=1; return; fi
  for attempt in 1 2 3 4 5; do
    if fetch "$part" "$size" "$md5" "$access" "$url"; then
      problem=$(wrong "$part" "$size" "$md5" "$path")
      if [ -z "$problem" ]; then
        mv -f -- "$part" "$path" && rm -f "$part.head" "$part.now" "$part.version" && return
        failed=1; return
      fi
      rm -f "$part" "$part.head"
      spoiled=$((spoiled + 1))
      if [ "$spoiled" = 2 ]; then break; fi
    else
      case $(status_of "$part") in
        400 | 401 | 403 | 404 | 410) problem="HTTP $(status_of "$part")"; break ;;
        2* | '') problem="the connection failed" ;;
        *) problem="HTTP $(status_of "$part")" ;;
      esac
    fi
    if [ "$attempt" != 5 ]; then sleep "$attempt"; fi
  done
  say "$1: $problem"
  failed=1
}}

everything() {{
  local lane=$1 turn=0 failed=0
{files}
  return "$failed"
}}

mkdir -p -- "$dest" || exit 1
pids=()
for ((n = 0; n < jobs; n++)); do
  everything "$n" &
  pids+=("$!")
done
result=0
for pid in "${{pids[@]}}"; do wait "$pid" || result=1; done
exit "$result"
"""
