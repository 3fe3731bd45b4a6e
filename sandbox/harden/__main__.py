"""`python -m harden`."""

from __future__ import annotations

from harden.cli import main

if __name__ == "__main__":
    main()
