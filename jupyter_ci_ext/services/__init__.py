"""The rules of the API, one file per resource; no status codes here.

Every service is built with its collaborators and offers ``create``, ``get``, ``list``, ``modify``
and ``delete`` as far as its resource has them: ids and parameters in, wire objects in the v2 form
out. What cannot be done is raised as one of `jupyter_ci_ext.errors`, and then nothing was changed.
"""
