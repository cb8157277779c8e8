#!/bin/sh
# Prints the path of libfaketime.so.1 on standard output; progress goes to standard error. Tests preload it into a process whose wall
# clock is to be set while it runs.
# Exit 0 with a path, 3 when there is none and none could be fetched.
#
# Order: $PERDURE_FAKETIME, the usual folders, the project's own copy in .perdure/lib, a .deb of this machine's own apt mirror.
# With PERDURE_OFFLINE=1 nothing is fetched.

faketime_tools=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
. "$faketime_tools/apt-package.sh"
faketime_kept=$(dirname -- "$faketime_tools")/.perdure/lib/libfaketime.so.1

# What is of another architecture, or is none, is not loaded, and the clock stands where it is.
faketime_usable() {
  [ -n "$1" ] && [ -f "$1" ] && [ "$(LD_PRELOAD=$1 FAKETIME='2001-02-03 04:05:06' date +%Y 2>/dev/null)" = 2001 ]
}

# In the folder of this machine's architecture, whatever that is called.
faketime_in() {
  for faketime_found in "$1"/*/faketime/libfaketime.so.1 "$1"/faketime/libfaketime.so.1; do
    faketime_usable "$faketime_found" && return
  done
  return 1
}

faketime_take() {
  faketime_in "$1/usr/lib" && mkdir -p "$(dirname "$faketime_kept")" && cp "$faketime_found" "$faketime_kept.$$" &&
    mv -f "$faketime_kept.$$" "$faketime_kept"
}

if faketime_usable "${PERDURE_FAKETIME:-}"; then
  printf '%s\n' "$PERDURE_FAKETIME"
elif faketime_in /usr/lib || faketime_in /usr/local/lib; then
  printf '%s\n' "$faketime_found"
elif faketime_usable "$faketime_kept" ||
  { [ "${PERDURE_OFFLINE:-0}" != 1 ] && apt_package_fetch libfaketime own own faketime_take; }; then
  printf '%s\n' "$faketime_kept"
else
  printf '%s\n' "faketime: no libfaketime was found, and none could be fetched. Install it (apt install libfaketime), or say where libfaketime.so.1 is: export PERDURE_FAKETIME=/path" >&2
  exit 3
fi
