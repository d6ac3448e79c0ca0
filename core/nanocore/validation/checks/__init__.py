"""The checks: a module each, whose function `check` says what it found; `begin` where it goes ahead of the others."""
