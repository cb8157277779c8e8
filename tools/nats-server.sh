#!/bin/sh
# Prints the path of a usable nats-server (2.12 or newer) on standard output; progress goes to standard error.
# Exit 0 with a path, 3 when there is none and none could be fetched.
#
# Order: $PERDURE_NATS_SERVER, the PATH and the usual sbin folders, the project's own copy in .perdure/bin,
# a .deb of a newer suite of this machine's own apt mirror, Homebrew, instructions.
#
# 1. Nothing of the system changes: apt works with private lists, cache and sources, and no package is installed.
# 2. No mirror is named here: the address is the one that this machine's apt is configured with.
# 3. apt checks signatures as it always does; we only unpack the one binary.
# 4. With PERDURE_OFFLINE=1 nothing is fetched.

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

# The addresses of the repositories of this very release, as apt itself understands its configuration.
nats_server_apt_repositories() {
  apt-get indextargets --format '$(CREATED_BY)|$(RELEASE)|$(REPO_URI)' 2>/dev/null |
    awk -F'|' -v release="$1" '$1 == "Packages" && $2 == release && !seen[$3]++ { print $3 }'
}

# from_apt TARGET: fetches the .deb with private state and unpacks the binary to TARGET
nats_server_from_apt() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  [ -r /etc/os-release ] || return 1
  nats_server_id=$(. /etc/os-release && printf '%s' "${ID:-}")
  nats_server_release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  case $nats_server_id in
    debian) nats_server_suites=$NATS_SERVER_DEBIAN_SUITES nats_server_component=main ;;
    ubuntu) nats_server_suites=$NATS_SERVER_UBUNTU_SUITES nats_server_component=universe ;;
    *) return 1 ;;
  esac
  nats_server_keyring=/usr/share/keyrings/$nats_server_id-archive-keyring.gpg
  nats_server_state=$(mktemp -d "${TMPDIR:-/tmp}/perdure-apt.XXXXXX") || return 1
  nats_server_apt_repositories "$nats_server_release" >"$nats_server_state/repositories"
  nats_server_result=1
  for nats_server_suite in $nats_server_suites; do
    while read -r nats_server_uri; do
      nats_server_say "nats-server: looking into suite $nats_server_suite of this machine's apt mirror …"
      if nats_server_download "$nats_server_state" "$1"; then
        nats_server_result=0
        break 2
      fi
    done <"$nats_server_state/repositories"
  done
  rm -rf "$nats_server_state"
  return $nats_server_result
}

# download STATE TARGET, with nats_server_uri, _keyring, _suite and _component set
nats_server_download() {
  nats_server_apt_root=$1/$nats_server_suite
  mkdir -p "$nats_server_apt_root/lists/partial" "$nats_server_apt_root/cache/archives/partial" "$nats_server_apt_root/unpacked"
  : >"$nats_server_apt_root/status"
  nats_server_options=
  [ -r "$nats_server_keyring" ] && nats_server_options=" [signed-by=$nats_server_keyring]"
  printf 'deb%s %s %s %s\n' "$nats_server_options" "$nats_server_uri" "$nats_server_suite" "$nats_server_component" \
    >"$nats_server_apt_root/sources.list"
  (
    cd "$nats_server_apt_root" || exit 1
    set -- -q -o Dir::State="$PWD" -o Dir::State::lists="$PWD/lists" -o Dir::State::status="$PWD/status" \
      -o Dir::Cache="$PWD/cache" -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null \
      -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o APT::Default-Release= \
      -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
      -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o APT::Sandbox::User=
    apt-get "$@" update >&2 && apt-get "$@" download nats-server >&2 && dpkg-deb -x nats-server_*.deb unpacked
  ) || return 1
  for nats_server_binary in "$nats_server_apt_root"/unpacked/usr/sbin/nats-server "$nats_server_apt_root"/unpacked/usr/bin/nats-server; do
    if nats_server_usable "$nats_server_binary"; then
      mkdir -p "$(dirname "$2")" && cp "$nats_server_binary" "$2.$$" && mv -f "$2.$$" "$2"
      return
    fi
  done
  return 1
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
    if nats_server_from_apt "$nats_server_cached"; then
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
