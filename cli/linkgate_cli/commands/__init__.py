"""One module for each command, with a function `command`; its name and its line of help are in linkgate_cli.app."""
