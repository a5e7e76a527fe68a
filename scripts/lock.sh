#!/bin/sh
# Write the lock files anew from pyproject.toml: versions and hashes for every platform, no address.
# The one of the tests holds everything; the others choose from it, so all agree.
# Versions that are locked already stay as they are: `scripts/lock.sh --upgrade` takes the newest.
# Usage: scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
shift

lock() { # FILE EXTRA [uv's options]
    file=$1 extra=$2
    shift 2
    compile "$file" pyproject.toml --extra "$extra" "$@"
}

compile() { # FILE SOURCE [uv's options]
    file=$1 source=$2
    shift 2
    "$uv" pip compile "$source" --output-file "$file" --quiet \
        --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
    sed -i.old '1i\
# Written by `make lock`; do not edit.
' "$file" && rm -f "$file.old"
    echo "$file: $(grep -c '==' "$file") packages"
}

lock tests/requirements.lock dev "$@"
# `--upgrade`: what an older file pinned would speak against the new versions.
lock server/requirements.lock server --constraint tests/requirements.lock "$@"
lock server/requirements-ray.lock ray --constraint tests/requirements.lock "$@"
lock frontend/requirements.lock frontend --constraint tests/requirements.lock "$@"
compile tests/open_inference/requirements.lock tests/open_inference/requirements.in "$@"
