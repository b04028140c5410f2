"""Where real market data may lie; a checkout without it has fewer tests, not skipped ones."""

from pathlib import Path

MARKET_DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

collect_ignore = [] if MARKET_DATA.is_dir() else ["test_real_files.py", "test_real_resampling.py"]
