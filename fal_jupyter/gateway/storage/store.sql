CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    lease TEXT NOT NULL,
    holder TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS revisions (
    alias TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision > 0),
    class_name TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    published REAL NOT NULL
) STRICT;
