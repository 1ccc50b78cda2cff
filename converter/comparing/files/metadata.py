"""What the metadata of our own files says of layers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from converter.errors import InvalidModel


def types(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """What the layers are, by name, as our own files say; empty for files of others.

    Raises:
        InvalidModel: the metadata is not what we write.
    """
    try:
        found = json.loads(metadata.get("layers", "{}"))
    except json.JSONDecodeError as error:
        raise InvalidModel("its metadata is not JSON", where="layers") from error
    return {re.sub(r"[^a-z0-9]+", "_", str(k).lower()).strip("_"): str(v) for k, v in dict(found).items()}
