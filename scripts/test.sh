#!/usr/bin/env sh
# The same as `make test`.
exec "$(dirname "$0")/launch.sh" test "$@"
