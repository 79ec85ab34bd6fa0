"""Serializes classes: finds, measures and names what a class captures before anything is sent.

``pack`` runs in the user's process, ``unpack`` in the runner. The bytes are opaque to everything in between.
"""

from fal_jupyter.shipping.captures import Capture
from fal_jupyter.shipping.files.local_files import files_used
from fal_jupyter.shipping.files.modules import fingerprint_of_modules, missing_modules, pack_modules
from fal_jupyter.shipping.files.shipped_modules import provide_modules
from fal_jupyter.shipping.fingerprint import fingerprint_of_environment, fingerprint_of_spec
from fal_jupyter.shipping.packing import Shipment, pack
from fal_jupyter.shipping.unpacking import unpack

__all__ = [
    "Capture",
    "Shipment",
    "files_used",
    "fingerprint_of_environment",
    "fingerprint_of_modules",
    "fingerprint_of_spec",
    "missing_modules",
    "pack",
    "pack_modules",
    "provide_modules",
    "unpack",
]
