"""Pure: rows of the allow-list are read, and a connection is decided on by them; nothing here knows AWS or a clock."""
