"""A body that REST framework parses is read as a row's is: with the same limit of bytes, the same JSON and the same words."""

from collections.abc import Mapping
from typing import Any

from rest_framework.parsers import BaseParser

from projects import bodies, rows


class JsonParser(BaseParser):
    """JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes. Raises BadRequest, BodyTooLarge."""

    media_type = bodies.JSON

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return rows.read_json(bodies.whole((parser_context or {})["request"]._request))
