"""The settings on mybinder.org; copied by postBuild to where Jupyter looks for them."""

c = get_config()  # noqa: F821 (Jupyter's)

# A pod of Binder is thrown away after use, runs without privileges, holds nobody's files or keys and
# reaches the network in a narrow way: it is the sandbox. So code may run here even where the pod lets
# us isolate nothing. What can be had is had all the same (Landlock and seccomp, as a rule), and the
# panel shows which. This is consent for Binder alone: without it no code would run below level 2.
c.Sandbox.minimum_level = 1

# Of the pod's 2 GiB the server takes a part, and one processor serves everything.
c.Sandbox.memory = 1024**3
c.SessionPool.max_sessions = 2
c.SessionPool.warm_spares = 0
