"""The header by which fal's platform lets an app upload to somebody's own bucket: read, and refused where it is broken (C58).

Nothing here uploads anywhere but to the local files; a valid policy is shown to user code in ``current_request``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HEADER = "x-app-fal-upload-policy"
_S3 = re.compile(r"(?:[a-z0-9.-]+\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com")


class BadPolicy(ValueError):
    """The header cannot be used; its text is the answer's detail."""


@dataclass(frozen=True)
class UploadPolicy:
    """A presigned POST of S3: where to, and its form fields, among them ``key`` with ``${filename}`` in it."""

    url: str
    fields: dict[str, Any]


def read_policy(text: str) -> UploadPolicy:
    """Read the header's value.

    Raises:
        BadPolicy: it is not a presigned POST of S3.
    """
    name = "Invalid x-app-fal-upload-policy"
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPolicy(f"{name} header: not valid JSON ({error})") from None
    if not isinstance(policy, dict):
        raise BadPolicy(f"{name} header: expected a JSON object")
    url, fields = policy.get("url"), policy.get("fields")
    if not isinstance(url, str):
        raise BadPolicy(f"{name} header: must contain string 'url'")
    if not isinstance(fields, dict):
        raise BadPolicy(f"{name} header: must contain object 'fields'")
    if not isinstance(key := fields.get("key"), str) or "${filename}" not in key:
        raise BadPolicy(f"{name} header: fields.key must contain '${{filename}}'")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme != "https" or not _S3.fullmatch(host):
        raise BadPolicy(f"{name} 'url': must be an HTTPS S3 upload URL")
    return UploadPolicy(url, fields)
