#!/usr/bin/env sh
# The same as `make hydrate-full`.
exec "$(dirname "$0")/launch.sh" hydrate_full_universe "$@"
