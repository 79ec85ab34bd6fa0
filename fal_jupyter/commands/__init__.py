"""The commands of ``%%fal_app``, ``%fal`` and ``fal-jupyter``: their grammar, and what each does."""
