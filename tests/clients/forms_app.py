"""Endpoints that take a form, for the programs of the panels."""

from __future__ import annotations

import json
from typing import Annotated

import fal
from fastapi import Form, UploadFile
from fastapi.responses import StreamingResponse


class Forms(fal.App):
    app_name = "forms"

    @fal.endpoint("/upload")
    def upload(
        self, file: UploadFile, title: Annotated[str, Form()], tags: Annotated[list[str], Form()] = (), page: int = 0
    ) -> dict:
        return {
            "name": file.filename,
            "type": file.content_type,
            "size": file.size,
            "title": title,
            "tags": tags,
            "page": page,
        }

    @fal.endpoint("/text")
    def text(self, title: Annotated[str, Form()], on: Annotated[bool, Form()] = False) -> dict:
        return {"title": title, "on": on}

    @fal.endpoint("/item/{name}")
    def item(self, name: str, file: UploadFile) -> dict:
        return {"name": name, "size": file.size}

    @fal.endpoint("/lines")
    def lines(self, file: UploadFile) -> StreamingResponse:
        size = file.size
        return StreamingResponse(
            (f"data: {json.dumps({'number': n, 'size': size})}\n\n" for n in range(2)), media_type="text/event-stream"
        )
