"""Where real market data may lie; a checkout without it has fewer tests, not skipped ones."""

from tests.engine.data.conftest import MARKET_DATA

collect_ignore = [] if MARKET_DATA.is_dir() else ["test_real_benchmark.py"]
