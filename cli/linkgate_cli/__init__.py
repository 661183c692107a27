"""The `linkgate` command: an operator's questions and edits, with ordinary AWS credentials.

`app` has the commands by name and turns every error into one sentence; `commands/` has one module for each command.
`session` finds the stack and makes clients, `failures` says what went wrong and with which exit code, `output` shows
tables and JSON, `asking` asks before something is changed. Decisions are made by the layer's own package, never here.
"""
