#!/usr/bin/env sh
# The same as `make daily`.
exec "$(dirname "$0")/launch.sh" daily "$@"
