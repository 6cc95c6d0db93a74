"""The only room with SQL: tables, transitions, queries, and the SQLite file."""
