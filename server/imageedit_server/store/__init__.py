"""The only room with SQL: tables, transitions, queries, the SQLite file and the watch feed."""
