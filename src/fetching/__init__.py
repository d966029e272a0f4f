"""Polite requests to providers: rate gates, lanes of tasks, a pool of threads, proxies and certificates."""
