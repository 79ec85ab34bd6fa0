"""Files that come in and go out."""

from typing import List, Optional

import fal
from fal.toolkit import File, Image
from fal.toolkit.file.types import FileRepository
from fastapi import Request
from pydantic import BaseModel


class Both(BaseModel):
    image: Image
    more: List[File] = []
    maybe: Optional[File] = None


class Keeping(FileRepository):
    """Keeps nothing but the lifecycles that it gets."""

    def __init__(self):
        self.told = []

    def save(self, data, object_lifecycle_preference=None, **options):
        self.told.append(object_lifecycle_preference)
        return "https://example.com/a"


class Files(fal.App):
    min_concurrency = 1

    @fal.endpoint("/text")
    def text(self):
        return File.from_bytes(b"hi", file_name="a.txt", repository="in_memory")

    @fal.endpoint("/typed")
    def typed(self) -> File:
        return File.from_bytes(b"hi", file_name="a.bin", repository="in_memory")

    @fal.endpoint("/image")
    def picture(self):
        return {"nested": [Image.from_bytes(b"x", "png", file_name="a.png", repository="in_memory")]}

    @fal.endpoint("/takes")
    def takes(self, image: Image):
        return {"u": image.url, "w": image.width}

    @fal.endpoint("/both")
    def both(self, both: Both) -> Both:
        return both

    @fal.endpoint("/lifecycle")
    def lifecycle(self):
        keeping = Keeping()
        File.from_bytes(b"hi", file_name="a.txt", repository=keeping)
        Image.from_bytes(b"x", "png", repository=keeping)
        return {"told": keeping.told}

    @fal.endpoint("/lifecycle-of-request")
    def lifecycle_of_request(self, request: Request):
        keeping = Keeping()
        File.from_bytes(b"hi", file_name="a.txt", repository=keeping, request=request)
        return {"told": keeping.told}

    @fal.endpoint("/missing")
    def missing(self):
        return File.from_path("/nope")
