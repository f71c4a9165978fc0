"""The program that runs inside a sandbox and, once confined and checked, becomes the kernel.

It runs in the environment the code gets, which need not have this package: nothing here imports from
outside this folder but the standard library and, in ``kernel``, ipykernel. It is loaded by path under
the name ``_code_interpreter``.
"""
