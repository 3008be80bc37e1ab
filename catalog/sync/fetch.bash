#!/usr/bin/env bash
# Fetches @COUNT@ products, @SIZE@ bytes, into the folder given as first argument (default: mast).
# Run it again to fetch what is left. JOBS=8 fetches so many at once (default 4).
# Exclusive products need your token in MAST_API_TOKEN.
# A file gets its name when its length, and its MD5 where the archive lists one, are right.
# Needs bash 3.2 or newer, curl, awk, and md5sum, md5 or openssl.
@NOTE@if [ -z "${BASH_VERSION:-}" ]; then exec bash "$0" "$@"; fi # "sh NAME" is another shell on many machines
set +o posix # there "ulimit -f" counts other blocks
set -u
export LC_ALL=C
server=@SERVER@
count=@COUNT@
dest=${1:-mast}
jobs=${JOBS:-4}

say() { printf '%s\n' "$*" >&2; }

case $jobs in
  '' | *[!0-9]* | 0 | ?????*) say "JOBS=$jobs is no number of files"; exit 2 ;;
esac
case $dest in
  -*) dest=./$dest ;;
esac
for tool in curl awk sed; do
  if ! command -v "$tool" >/dev/null; then say "this script needs $tool"; exit 2; fi
done
if ! command -v md5sum >/dev/null && ! command -v md5 >/dev/null && ! command -v openssl >/dev/null; then
  say "this script needs md5sum, md5 or openssl"; exit 2
fi
case ${MAST_API_TOKEN:-} in
  *[![:graph:]]*) say "MAST_API_TOKEN holds a blank or a line break; copy the token again, without 'token' before it"; exit 2 ;;
esac
if [ -z "${http_proxy:-}" ] && [ -n "${HTTP_PROXY:-}" ]; then export http_proxy=$HTTP_PROXY; fi
bundle=${REQUESTS_CA_BUNDLE:-${CURL_CA_BUNDLE:-${SSL_CERT_FILE:-}}}

size_of() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

md5_of() {
  if command -v md5sum >/dev/null; then md5sum <"$1" | cut -d ' ' -f 1
  elif command -v md5 >/dev/null; then md5 -q "$1"
  else openssl md5 -r <"$1" | cut -d ' ' -f 1; fi
}

human() {
  awk -v n="$1" 'BEGIN { split("B kB MB GB TB", u, " "); for (i = 1; n >= 999.5 && i < 5; i++) n /= 1000
    printf (i == 1 ? "%d %s" : "%.1f %s"), n, u[i] }'
}

# A text as a value of curl's configuration.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# header NAME FILE: the value in the last answer that the file holds; the answers before it are redirects.
header() {
  awk -v name="$1:" '{ sub(/\r$/, "") } /^HTTP\// { value = "" }
    tolower($1) == name { value = $0; sub(/^[^:]*:[ \t]*/, "", value) } END { print value }' "$2" 2>/dev/null
}
status_of() { awk '/^HTTP\// { status = $2 } END { print status }' "$1" 2>/dev/null; }
etag_of() { header etag "$1" | sed -n 's/^\("[^"]*"\)$/\1/p'; }

# wrong FILE SIZE MD5 NAME: says what is wrong with a whole file; nothing where it is right.
wrong() {
  local have
  have=$(size_of "$1")
  if [ "$2" != - ] && [ "$have" != "$2" ]; then echo "it has $have bytes, not $2"; return; fi
  if [ "$have" = 0 ] && [ "$2" != 0 ]; then echo "it is empty"; return; fi
  if [ "$3" != - ]; then
    if [ "$(md5_of "$1")" != "$3" ]; then echo "its MD5 is not $3"; fi
    return
  fi
  if [ "$have" = 0 ]; then return; fi
  case $4 in
    *.html | *.htm) ;;
    *.fits)
      if [ "$(head -c 9 "$1")" != "SIMPLE  =" ]; then echo "it is no FITS file"; return; fi
      if [ "$2" = - ] && [ $((have % 2880)) != 0 ]; then echo "it is not whole FITS"; fi ;;
    *.gz) if ! gzip -t <"$1" 2>/dev/null; then echo "it is not whole gzip"; fi ;;
    *) case $(head -c 64 "$1" | tr -d '\0' | tr '[:upper:]' '[:lower:]') in
         '<!doctype html'* | '<html'*) echo "it is a web page" ;;
       esac ;;
  esac
}

# most SIZE MD5: the kibibytes that may come for a file; of one without a checksum, the listed size is advice.
most() {
  if [ "$1" = - ]; then echo 1048576; elif [ "$2" = - ]; then echo $(($1 / 1024 + 1048576)); else echo $(($1 / 1024 + 1024)); fi
}

# at_most KIBIBYTES COMMAND...: a file that the command writes does not grow beyond that.
at_most() {
  trap '' XFSZ
  ulimit -f "$1" 2>/dev/null
  shift
  exec "$@"
}

# ask PART TOKEN URL MOST ARGUMENT...: what the archive sends goes to PART.new, its headers to PART.now.
ask() {
  local part=$1 token=$2 url=$3 limit=$4
  shift 4
  rm -f -- "$part.new" "$part.now" "$part.said"
  {
    if [ "$token" = yes ]; then printf 'header = %s\n' "$(quoted "Authorization: token ${MAST_API_TOKEN:?}")"; fi
    if [ -d "$bundle" ]; then printf 'capath = %s\n' "$(quoted "$bundle")"
    elif [ -n "$bundle" ]; then printf 'cacert = %s\n' "$(quoted "$bundle")"; fi
  } | at_most "$limit" curl --config - --silent --show-error --fail --location --max-redirs 5 --globoff --proto '=http,https' \
    --connect-timeout 30 --speed-limit 256 --speed-time 30 --dump-header "$part.now" --output "$part.new" \
    "$@" -- "$server$url" 2>"$part.said" &
  wait "$!"
}

# settle PART NAME RESULT MOST: what came last joins the bytes so far, or takes their place. A 206 goes on exactly where they
# end, and is of the same version; a 200 is the file from its start. It is also run after a kill, with RESULT "?".
settle() {
  local part=$1 name=$2 result=$3 limit=$4 old new
  if [ ! -f "$part.new" ] || [ ! -f "$part.now" ]; then rm -f -- "$part.new"; return; fi
  case $(status_of "$part.now") in
    200)
      if unpack "$part" "$name" "$result" "$limit"; then
        rm -f -- "$part.head"
        mv -f -- "$part.new" "$part" && cp -f -- "$part.now" "$part.head"
      else
        rm -f -- "$part" "$part.head"
      fi ;;
    206)
      old=$(etag_of "$part.head") new=$(etag_of "$part.now")
      case $(header content-range "$part.now") in
        "bytes $(size_of "$part")-"*)
          if [ -z "$(header content-encoding "$part.now")" ] && { [ -z "$old" ] || [ -z "$new" ] || [ "$old" = "$new" ]; }; then
            cat -- "$part.new" >>"$part"
          else
            rm -f -- "$part" "$part.head"
          fi ;;
        *) if [ "$result" != '?' ]; then rm -f -- "$part" "$part.head"; fi ;;
      esac ;;
  esac
  rm -f -- "$part.new"
}

# unpack PART NAME RESULT MOST: undoes a Content-Encoding that nobody asked for; a .gz file is said to be gzip-encoded, and is not.
unpack() {
  local encoding
  encoding=$(header content-encoding "$1.now" | tr '[:upper:]' '[:lower:]')
  case $encoding in
    '' | identity | none | aws-chunked) return 0 ;;
    gzip | x-gzip) ;;
    *) echo "it came $encoding-encoded" >"$1.said"; return 1 ;;
  esac
  case $2 in *.gz) return 0 ;; esac
  rm -f -- "$1.plain"
  if [ "$3" != 0 ] || ! (at_most "$4" gzip -dc <"$1.new" >"$1.plain" 2>/dev/null); then
    if [ "$(size_of "$1.plain")" -ge $(($4 * 1024)) ]; then overlong=yes; fi
    rm -f -- "$1.plain"
    return 1
  fi
  mv -f -- "$1.plain" "$1.new"
}

forget() { rm -f -- "$1" "$1.head" "$1.now" "$1.new" "$1.said" "$1.plain" "$1.version"; }

# begin PART NAME VERSION MD5 SIZE: keeps the bytes so far where they are surely the start of this version.
begin() {
  local part=$1 have one
  for one in "$part" "$part".head "$part".now "$part".new "$part".version; do
    if [ -L "$one" ] || { [ -e "$one" ] && [ ! -f "$one" ]; } || [ -n "$(find "$one" -links +1 2>/dev/null)" ]; then forget "$part"; fi
  done
  if [ "$(cat "$part.version" 2>/dev/null)" != "$3" ]; then
    forget "$part"
    printf '%s\n' "$3" >"$part.version"
  fi
  settle "$part" "$2" '?' "$(most "$5" "$4")"
  have=$(size_of "$part")
  if { [ "$4" = - ] && [ -z "$(etag_of "$part.head")" ]; } || { [ "$5" != - ] && [ "$have" -gt "$5" ]; }; then
    rm -f -- "$part" "$part.head"
  fi
}

# fetch PART NAME SIZE MD5 TOKEN URL FRESH: one attempt.
fetch() {
  local part=$1 name=$2 size=$3 md5=$4 token=$5 url=$6 fresh=$7 have tag result overlong=no
  begin "$part" "$name" "$url $size $md5" "$md5" "$size"
  have=$(size_of "$part")
  if [ "$have" = "$size" ] && [ "$have" != 0 ]; then return 0; fi
  set --
  if [ "$fresh" = yes ]; then set -- --header 'Cache-Control: no-cache'; fi
  if [ "$have" != 0 ]; then
    set -- "$@" --range "$have-"
    tag=$(etag_of "$part.head")
    if [ -n "$tag" ]; then set -- "$@" --header "If-Range: $tag"; fi
  fi
  ask "$part" "$token" "$url" "$(most "$size" "$md5")" "$@"
  result=$?
  if [ ! -f "$part.new" ] && [ "$result" = 0 ]; then : >"$part.new"; fi # an empty file
  settle "$part" "$name" "$result" "$(most "$size" "$md5")"
  if [ "$(status_of "$part.now")" = 416 ]; then rm -f -- "$part" "$part.head"; fi
  if [ "$overlong" = yes ]; then return 23; fi
  if [ "$result" = 0 ] && [ ! -f "$part" ]; then return 1; fi
  return "$result"
}

# told OUTCOME BYTES TEXT: one line a file.
told() {
  printf '%s %s\n' "$1" "$2" >>"$state/outcomes"
  if [ "$1" != present ]; then say "[$(wc -l <"$state/outcomes" | tr -d ' ')/$count] $3"; fi
}
failed() { told failed 0 "$1: $2"; }

# A link among the folders of a path would lead out of the destination.
has_link() {
  local rest=$1 so_far=$dest
  while :; do
    case $rest in */*) ;; *) return 1 ;; esac
    so_far=$so_far/${rest%%/*}
    rest=${rest#*/}
    if [ -L "$so_far" ]; then return 0; fi
  done
}

# get PATH SIZE MD5 ACCESS URL: one product; - where the archive does not say.
get() {
  turn=$((turn + 1))
  if [ $((turn % jobs)) != "$lane" ]; then return; fi
  local path=$dest/$1 part folder
  if [ -f "$path" ] && [ -z "$(wrong "$path" "$2" "$3" "$1")" ]; then told present "$(size_of "$path")" ''; return; fi
  if [ -e "$path" ] && [ ! -f "$path" ]; then failed "$1" "$path is no file; it is left as it is"; return; fi
  if has_link "$1"; then failed "$1" "a link leads out of $dest"; return; fi
  case $4 in
    exclusive:*) if [ -z "${MAST_API_TOKEN:-}" ]; then
        failed "$1" "exclusive to program ${4#exclusive:}; set MAST_API_TOKEN"; return
      fi ;;
  esac
  folder=$(dirname -- "$path")
  part=$folder/.$(basename -- "$path").curl
  if ! mkdir -p -- "$folder"; then failed "$1" "cannot make $folder"; return; fi
  printf '%s\n' "$part" >"$state/lane.$lane"
  attempts "$@"
  : >"$state/lane.$lane"
}

# attempts PATH SIZE MD5 ACCESS URL: fetches and proves, again where it is worth it.
attempts() {
  local path=$dest/$1 size=$2 md5=$3 url=$5 token=no problem='' spoiled=0 length='' fresh=no attempt result status
  case $4 in exclusive:*) token=yes ;; esac
  for attempt in 1 2 3 4 5 6; do
    fetch "$part" "$1" "$size" "$md5" "$token" "$url" "$fresh"
    result=$?
    status=$(status_of "$part.now")
    if [ "$result" = 0 ]; then
      problem=$(wrong "$part" "$size" "$md5" "$1")
      if [ -n "$problem" ] && [ "$md5" = - ] && [ "$length" = "$(size_of "$part")" ] &&
        [ -z "$(wrong "$part" - - "$1")" ]; then
        problem='' size=$length
        say "$1: the archive lists another length than $length, twice sent this one, and lists no checksum; it is kept"
      fi
      if [ -z "$problem" ]; then finish "$1" "$path"; return; fi
      length=$(size_of "$part")
      rm -f -- "$part" "$part.head"
      spoiled=$((spoiled + 1)) fresh=yes
      if [ "$spoiled" = 3 ]; then break; fi
    else
      problem=$(sed -n '$p' "$part.said" 2>/dev/null)
      case $status in
        401 | 403)
          problem="HTTP $status"
          if [ "$token" = no ] && [ -n "${MAST_API_TOKEN:-}" ]; then token=yes; continue; fi
          if [ "$token" = yes ]; then problem="$problem, the token does not give access to it, or has expired"
          elif [ "$status" = 401 ]; then problem="$problem; set MAST_API_TOKEN"; fi
          break ;;
        4*) problem="HTTP $status"; case $status in 400 | 404 | 410) break ;; esac ;;
        5*) problem="HTTP $status" ;;
      esac
      if [ "$result" = 23 ]; then problem="more bytes come than may, or the disk is full"; fi
      case $result in 3 | 5 | 23 | 35 | 58 | 59 | 60 | 77 | 83 | 90 | 91) break ;; esac # TLS or a proxy: so it is each time
    fi
    if [ "$attempt" != 6 ]; then sleep "$attempt"; fi
  done
  failed "$1" "${problem:-the connection failed}"
}

finish() {
  local bytes
  bytes=$(size_of "$part")
  if mv -f -- "$part" "$2"; then
    forget "$part"
    told fetched "$bytes" "fetched $1 ($(human "$bytes"))"
  else
    failed "$1" "cannot be given its name"
  fi
}

everything() {
  local lane=$1 turn=0 part
  trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
@FILES@
}

# Says every ten seconds how far it is.
progress() {
  local received part
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' INT TERM
  while :; do
    sleep 10 &
    wait "$!"
    received=$(awk '$1 == "fetched" { n += $2 } END { printf "%d", n }' "$state/outcomes")
    for part in "$state"/lane.*; do
      part=$(cat "$part" 2>/dev/null)
      if [ -n "$part" ]; then received=$((received + $(size_of "$part") + $(size_of "$part.new"))); fi
    done
    say "... $(wc -l <"$state/outcomes" | tr -d ' ') of $count files done, $(human "$received") received"
  done
}

outcome() { grep -c "^$1 " "$state/outcomes"; }

stop() {
  trap '' INT TERM
  kill "$ticker" "${pids[@]+"${pids[@]}"}" 2>/dev/null
  wait
  rm -rf -- "$state"
  say "interrupted; run it again to go on"
  exit 130
}

mkdir -p -- "$dest" || exit 1
state=$(mktemp -d "${TMPDIR:-/tmp}/fetch.XXXXXX") || exit 1
: >"$state/outcomes"
pids=()
progress &
ticker=$!
trap stop INT TERM
for ((n = 0; n < jobs; n++)); do
  everything "$n" &
  pids+=("$!")
done
for pid in "${pids[@]}"; do wait "$pid"; done
kill "$ticker" 2>/dev/null
wait "$ticker" 2>/dev/null
bytes=$(awk '$1 == "fetched" { n += $2 } END { printf "%d", n }' "$state/outcomes")
lost=$(outcome failed)
say "$count products in $dest: $(outcome present) present, $(outcome fetched) fetched ($(human "$bytes")), $lost failed"
rm -rf -- "$state"
[ "$lost" = 0 ]
