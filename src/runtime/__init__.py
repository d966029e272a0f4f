"""The frame of a command: lock, log, heartbeat, progress, redaction of secrets, disk space and memory."""
