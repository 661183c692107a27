"""The `linkgate` command: an operator's questions and edits, with ordinary AWS credentials.

`app` has the commands by name and turns every error into one sentence; `commands/` has one module for each command.
`session` finds the stack and makes clients, `failures` says what went wrong and with which exit code, `output` shows
tables and JSON, `asking` asks before something is changed. What is read lies in `overview` (by way of `index`),
`offered` and `evidence`; what is said of it, without AWS, in `attention`, `explanation`, `condition`, `consumer` and
`checks/`. Edits go from `filing` (a file, read by `rowsfile`) or `one_row` to `editing`, which reads the `world`, plans
(`outlook`, `planning`), shows (`showing`), asks and writes (`writing`). Decisions are made by the layer's own package,
never here.
"""
