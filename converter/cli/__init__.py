"""The command line: the only place that prints. `main` joins the commands, `lines` makes results into text."""
