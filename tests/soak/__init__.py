"""The long tests of reliability, each a module that ``python -m tests.soak.<name> [options]`` runs.

Each prints a small Markdown table of its figures and exits with 1 when something is wrong. ``make soak``
runs all of them in full length; ``make test`` keeps a short version of each, in this folder's test modules.
"""
