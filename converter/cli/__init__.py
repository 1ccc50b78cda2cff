"""The command line: the only place that prints. `main` finds the command, each command has a module of its own."""
