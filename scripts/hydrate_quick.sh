#!/usr/bin/env sh
# The same as `make hydrate-quick`.
exec "$(dirname "$0")/launch.sh" hydrate_quick "$@"
