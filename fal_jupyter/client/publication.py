"""What this process publishes, and where."""

from __future__ import annotations

from dataclasses import dataclass

from fal_jupyter.protocol.api import Published, PublishHead


@dataclass
class Publication:
    """What this process publishes, and the lease under which the gateway has it.

    *told* is what the gateway made of it. It is shared with the app's handle, so that it says the same after a publication anew.
    *former* is the publication before, which serves on where this one fails.
    """

    head: PublishHead
    payload: bytes
    lease: str
    told: Published
    former: Publication | None = None
    failed: bool = False
