# Sourced. Fetches a package of this machine's own apt mirror, and unpacks it for whoever wants a file of it.
#
# 1. Nothing of the system changes: apt works with private lists, cache and sources, and no package is installed.
# 2. No mirror is named here: the address is the one that this machine's apt is configured with.
# 3. apt checks signatures as it always does.

# The addresses of the repositories of this very release, as apt itself understands its configuration.
apt_package_repositories() {
  apt-get indextargets --format '$(CREATED_BY)|$(RELEASE)|$(REPO_URI)' 2>/dev/null |
    awk -F'|' -v release="$1" '$1 == "Packages" && $2 == release && !seen[$3]++ { print $3 }'
}

# fetch PACKAGE DEBIAN_SUITES UBUNTU_SUITES TAKE: 0 as soon as the function TAKE has accepted an unpacked folder.
# The suite `own` is the release that runs here.
apt_package_fetch() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return 1
  [ -r /etc/os-release ] || return 1
  apt_package_name=$1
  apt_package_take=$4
  apt_package_id=$(. /etc/os-release && printf '%s' "${ID:-}")
  apt_package_release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  case $apt_package_id in
    debian) apt_package_suites=$2 apt_package_component=main ;;
    ubuntu) apt_package_suites=$3 apt_package_component=universe ;;
    *) return 1 ;;
  esac
  apt_package_keyring=/usr/share/keyrings/$apt_package_id-archive-keyring.gpg
  apt_package_state=$(mktemp -d "${TMPDIR:-/tmp}/perdure-apt.XXXXXX") || return 1
  apt_package_repositories "$apt_package_release" >"$apt_package_state/repositories"
  apt_package_result=1
  for apt_package_suite in $apt_package_suites; do
    [ "$apt_package_suite" = own ] && apt_package_suite=$apt_package_release
    while read -r apt_package_uri; do
      printf '%s\n' "$apt_package_name: looking into suite $apt_package_suite of this machine's apt mirror …" >&2
      if apt_package_unpack && "$apt_package_take" "$apt_package_root/unpacked"; then
        apt_package_result=0
        break 2
      fi
    done <"$apt_package_state/repositories"
  done
  rm -rf "$apt_package_state"
  return $apt_package_result
}

# Into a folder of the suite, with apt_package_state, _name, _uri, _keyring, _suite and _component set.
apt_package_unpack() {
  apt_package_root=$apt_package_state/$apt_package_suite
  mkdir -p "$apt_package_root/lists/partial" "$apt_package_root/cache/archives/partial" "$apt_package_root/unpacked"
  : >"$apt_package_root/status"
  apt_package_options=
  [ -r "$apt_package_keyring" ] && apt_package_options=" [signed-by=$apt_package_keyring]"
  printf 'deb%s %s %s %s\n' "$apt_package_options" "$apt_package_uri" "$apt_package_suite" "$apt_package_component" \
    >"$apt_package_root/sources.list"
  (
    cd "$apt_package_root" || exit 1
    set -- -q -o Dir::State="$PWD" -o Dir::State::lists="$PWD/lists" -o Dir::State::status="$PWD/status" \
      -o Dir::Cache="$PWD/cache" -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null \
      -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o APT::Default-Release= \
      -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
      -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o APT::Sandbox::User=
    apt-get "$@" update >&2 && apt-get "$@" download "$apt_package_name" >&2 && dpkg-deb -x "$apt_package_name"_*.deb unpacked
  )
}
