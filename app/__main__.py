"""``python -m app`` is ``tplusone``."""

from app.cli import main

if __name__ == "__main__":
    main()
