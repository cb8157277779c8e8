#!/bin/sh
# Prints the path of a usable nats-server (2.12 or newer) on standard output; progress goes to standard error.
# Exit 0 with a path, 3 when there is none and none could be fetched.
#
# Order: $PERDURE_NATS_SERVER, the PATH and the usual sbin folders, the project's own copy in .perdure/bin,
# a .deb of a newer suite of this machine's own apt mirror, Homebrew, instructions.
#
# With PERDURE_OFFLINE=1 nothing is fetched.

NATS_SERVER_MIN_MAJOR=2
NATS_SERVER_MIN_MINOR=12
# The first suites that carry such a version; the binary runs on older releases as it is (glibc 2.34 or newer).
NATS_SERVER_DEBIAN_SUITES='forky sid'
NATS_SERVER_UBUNTU_SUITES='devel'

nats_server_say() { printf '%s\n' "$*" >&2; }

# usable PATH -> 0 when it runs here and is new enough
nats_server_usable() {
  [ -n "$1" ] && [ -x "$1" ] && [ ! -d "$1" ] || return 1
  nats_server_version=$("$1" --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  [ -n "$nats_server_version" ] || return 1
  nats_server_major=${nats_server_version% *}
  nats_server_minor=${nats_server_version#* }
  [ "$nats_server_major" -gt "$NATS_SERVER_MIN_MAJOR" ] && return 0
  [ "$nats_server_major" -eq "$NATS_SERVER_MIN_MAJOR" ] && [ "$nats_server_minor" -ge "$NATS_SERVER_MIN_MINOR" ]
}

nats_server_on_path() {
  nats_server_ifs=$IFS
  IFS=:
  for nats_server_dir in $PATH:/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin; do
    IFS=$nats_server_ifs
    if nats_server_usable "$nats_server_dir/nats-server"; then
      printf '%s\n' "$nats_server_dir/nats-server"
      return 0
    fi
    if [ -x "$nats_server_dir/nats-server" ]; then
      nats_server_say "nats-server: $nats_server_dir/nats-server is older than $NATS_SERVER_MIN_MAJOR.$NATS_SERVER_MIN_MINOR, not used"
    fi
  done
  IFS=$nats_server_ifs
  return 1
}

# take UNPACKED: keeps the binary at nats_server_target when it runs here
nats_server_take() {
  for nats_server_binary in "$1"/usr/sbin/nats-server "$1"/usr/bin/nats-server; do
    if nats_server_usable "$nats_server_binary"; then
      mkdir -p "$(dirname "$nats_server_target")" && cp "$nats_server_binary" "$nats_server_target.$$" &&
        mv -f "$nats_server_target.$$" "$nats_server_target"
      return
    fi
  done
  return 1
}

# from_apt ROOT TARGET: fetches the .deb with private state and unpacks the binary to TARGET
nats_server_from_apt() {
  # Not before: a file that is sourced does not know where it lies.
  . "$1/tools/apt-package.sh"
  nats_server_target=$2
  apt_package_fetch nats-server "$NATS_SERVER_DEBIAN_SUITES" "$NATS_SERVER_UBUNTU_SUITES" nats_server_take
}

nats_server_instructions() {
  nats_server_say "No nats-server $NATS_SERVER_MIN_MAJOR.$NATS_SERVER_MIN_MINOR or newer was found, and none could be fetched. Do one of these and try again:
  - install it (macOS: brew install nats-server; Debian 14, sid: apt install nats-server; others: https://docs.nats.io/running-a-nats-service/introduction/installation)
  - put the binary at $1
  - say where it is: export PERDURE_NATS_SERVER=/path/to/nats-server"
}

nats_server_find() {
  if [ -n "${PERDURE_NATS_SERVER:-}" ]; then
    if nats_server_usable "$PERDURE_NATS_SERVER"; then
      printf '%s\n' "$PERDURE_NATS_SERVER"
      return 0
    fi
    nats_server_say "nats-server: PERDURE_NATS_SERVER=$PERDURE_NATS_SERVER does not run here or is older than $NATS_SERVER_MIN_MAJOR.$NATS_SERVER_MIN_MINOR"
    return 3
  fi
  nats_server_on_path && return 0
  nats_server_cached=$1/.perdure/bin/nats-server
  if nats_server_usable "$nats_server_cached"; then
    printf '%s\n' "$nats_server_cached"
    return 0
  fi
  if [ "${PERDURE_OFFLINE:-0}" != 1 ]; then
    if nats_server_from_apt "$1" "$nats_server_cached"; then
      printf '%s\n' "$nats_server_cached"
      return 0
    fi
    if command -v brew >/dev/null 2>&1; then
      nats_server_say 'nats-server: brew install nats-server …'
      brew install nats-server >&2 && nats_server_on_path && return 0
    fi
  fi
  nats_server_instructions "$nats_server_cached"
  return 3
}

# Sourced with PERDURE_SOURCED=1 it only defines the functions; called, it searches.
if [ "${PERDURE_SOURCED:-0}" != 1 ]; then
  nats_server_find "$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)"
  exit $?
fi
