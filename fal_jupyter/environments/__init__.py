"""Isolated environments for ``requirements``: one folder below the state directory for each distinct list, shared by apps.

An environment is made by ``uv`` where there is one, else by ``venv`` and ``pip``, in the process that serves the app, so that
its lines appear in the cell and an interrupt ends it. The kernel's own environment is never touched.
"""
