"""Sessions: a kernel, its workspace, and the pool that keeps one session per thread."""
