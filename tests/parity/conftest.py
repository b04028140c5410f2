"""Without real market data beside the checkout there are fewer tests, not skipped ones."""

from tests.parity.markets import MARKET_DATA

collect_ignore = [] if MARKET_DATA.is_dir() else ["test_outage.py"]
