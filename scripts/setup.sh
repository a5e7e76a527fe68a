#!/bin/sh
# Everything `make` needs on a bare Debian, Ubuntu or macOS that has Python 3.11 to 3.13 and make.
# Usage: scripts/setup.sh VENV           an empty virtual environment
#        scripts/setup.sh VENV LOCK...   one with exactly what the lock files say, and this project
#        scripts/setup.sh VENV foreign LOCK...   the same without this project
#        scripts/setup.sh VENV browser   a Chromium for the browser tests
#        scripts/setup.sh VENV postgres  PostgreSQL's programs for the tests, which start a server of their own
set -eu
cd "$(dirname "$0")/.."
venv=$1
shift
python=$venv/bin/python

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
is_debian_like() { command -v apt-get >/dev/null 2>&1; }

# A Python that is present may still be a shim that runs nothing, or be out of range: try, do not look.
in_range() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON_FOR_VENV:-}" ]; then
        in_range "$PYTHON_FOR_VENV" || die "PYTHON_FOR_VENV=$PYTHON_FOR_VENV: expected a Python from 3.11 to 3.13"
        echo "$PYTHON_FOR_VENV"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if in_range "$candidate"; then echo "$candidate"; return; fi
    done
    die "Digit Lab needs Python 3.11, 3.12 or 3.13, and finds none ($(python3 --version 2>&1 || true)).
On Debian 12 or Ubuntu 24.04: apt install python3 python3-venv. Elsewhere, name one: make PYTHON_FOR_VENV=/path/to/python3.12"
}

# Debian and Ubuntu keep `venv` in a package of its own.
ensure_venv_module() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if ! is_debian_like; then die "$1 lacks the modules venv and ensurepip: install them, then run make again"; fi
    if ! is_root; then die "Python's venv module is missing. Run: sudo apt install $package — then make again"; fi
    say "Installing $package"
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"
}

# Silent when all goes well; everything that was said when it does not.
quietly() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then rm -f "$log"; return; fi
    tail -n 30 "$log" >&2
    rm -f "$log"
    die "failed: $*"
}

make_venv() {
    # A folder that was moved or whose Python was removed is made anew.
    if [ -x "$python" ] && in_range "$python" && [ "$(cat "$venv/.made-at" 2>/dev/null)" = "$PWD" ]; then return; fi
    found=$(find_python)
    ensure_venv_module "$found"
    say "Creating $venv with $("$found" --version)"
    quietly "$found" -m venv --clear "$venv"
    echo "$PWD" >"$venv/.made-at"
}

# One line that counts up on a terminal, nothing in a log.
count_packages() {
    count=0
    while read -r verb name _; do
        [ "$verb" = Collecting ] || continue
        count=$((count + 1))
        if [ -t 2 ]; then printf '\r\033[K  %d of at most %d: %s' "$count" "$1" "${name%%[=<>;]*}" >&2; fi
    done
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

install() { # LOCK...
    started=$(date +%s)
    log=$venv/pip.log
    total=$(cat "$@" | grep -o '^[A-Za-z0-9._-]*==' | sort -u | wc -l)
    say "Installing the locked packages into $venv (the first time several hundred MB: a few minutes)"
    for lock in "$@"; do set -- "$@" --requirement "$lock"; shift; done
    # The locks are complete, so pip has nothing to resolve: --no-deps.
    rm -f "$venv/.pip-failed"
    { "$python" -m pip install --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --progress-bar off "$@" 2>"$log.err" || touch "$venv/.pip-failed"; } | tee "$log" | count_packages "$total"
    if [ -e "$venv/.pip-failed" ]; then tail -n 15 "$log.err" >&2; die "pip failed; all it said is in $log and $log.err"; fi
    say "Packages are ready ($(($(date +%s) - started)) s)"
}

install_project() {
    quietly "$python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
}

# A Chromium that runs: Ubuntu's `chromium-browser` may be a stub that asks for snap.
has_chromium() {
    for candidate in chromium chromium-browser google-chrome; do
        timeout 20 "$candidate" --version >/dev/null 2>&1 && return
    done
    return 1
}

# The package is a real browser on Debian, and a stub (its version says snap) on Ubuntu.
apt_has_chromium() {
    version=$(apt-cache policy chromium 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    case $version in '' | '(none)' | *snap*) return 1 ;; esac
}

ensure_browser() {
    if has_chromium; then return; fi
    if is_root && is_debian_like; then
        quietly apt-get update
        if apt_has_chromium; then
            say "Installing Chromium for the browser tests"
            quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
            return
        fi
        quietly "$python" -m playwright install-deps chromium
    fi
    say "Installing Playwright's Chromium for the browser tests"
    quietly "$python" -m playwright install chromium
}

# Debian keeps initdb and postgres out of the PATH.
has_postgres() {
    for found in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb "$(command -v initdb || true)"; do
        [ -x "$found" ] && [ -x "$(dirname "$found")/postgres" ] && return
    done
    return 1
}

ensure_postgres() {
    if has_postgres; then return; fi
    if ! is_debian_like; then die "The tests need PostgreSQL (initdb and postgres): install it, then run make again.
On macOS: brew install postgresql"; fi
    if ! is_root; then die "The tests need PostgreSQL. Run: sudo apt install postgresql — then make again"; fi
    say "Installing PostgreSQL for the tests"
    quietly apt-get update
    # Without a cluster of the system's, which nobody needs here and which would take a port.
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-common
    if ! grep -q '^create_main_cluster = false' /etc/postgresql-common/createcluster.conf 2>/dev/null; then
        echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
    fi
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
    has_postgres || die "PostgreSQL was installed, and its programs initdb and postgres are not there"
}

make_venv
case ${1:-} in
'') ;;
browser) ensure_browser ;;
postgres) ensure_postgres ;;
foreign) shift; install "$@" ;;
*) install "$@"; install_project ;;
esac
