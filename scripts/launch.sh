#!/usr/bin/env sh
# Finds a Python and runs launch.py with it.
cd "$(dirname "$0")/.." || exit 1
for python in python3.12 python3.13 python3.11 python3 python; do
  if "$python" -c "" >/dev/null 2>&1; then
    exec "$python" scripts/launch.py "$@"
  fi
done
echo "No Python found. Install Python 3.12 and run this again." >&2
exit 1
