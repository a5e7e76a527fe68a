"""The steps from the tables of each release to those of the next; Alembic runs them, at start and only then.

One file of `versions` is one step, and never changes once it is released. A step speaks of the tables as they
were then, so it imports none of `server.database`; and it uses Alembic's operations, not the SQL of SQLite.
There are no steps backwards: the copy that is kept before a migration is the way back.
"""
