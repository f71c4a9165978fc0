"""The command line: `jupyter ci demo` and `jupyter ci doctor`."""
