"""Isolated environments for ``requirements``: one folder below the state directory per distinct list, shared by apps.

An environment is created by ``uv`` if it is installed, else by ``venv`` and ``pip``. The installer runs under the process that serves the
app, so that its output appears in the cell and an interrupt ends it. The kernel's own environment is never touched.
"""
