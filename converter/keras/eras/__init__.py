"""What changed from version to version, each switch with its evidence, and the signs that tell a file's version."""
