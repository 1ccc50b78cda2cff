"""Prints the oldest versions of the dependencies that pyproject.toml allows, as requirements."""

import pathlib
import tomllib

project = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print("\n".join(requirement.replace(">=", "==") for requirement in project["dependencies"]))
