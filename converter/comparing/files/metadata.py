"""What the metadata of our own files says of layers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from converter.errors import InvalidModel


def types(metadata: Mapping[str, str], entry: str = "layers") -> Mapping[str, str]:
    """What the layers are (entry "cells": how their gates lie), by name, as our own files say; else nothing.

    Raises:
        InvalidModel: the metadata is not what we write.
    """
    try:
        found = json.loads(metadata.get(entry, "{}"))
    except json.JSONDecodeError as error:
        raise InvalidModel("its metadata is not JSON", where=entry) from error
    return {re.sub(r"[^a-z0-9]+", "_", str(k).lower()).strip("_"): str(v) for k, v in dict(found).items()}
