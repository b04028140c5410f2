"""Features: causal functions of bars, lagged in one place."""

from engine.features.base import Feature, FeatureMatrix, feature_matrix
from engine.features.cache import SHARED_BYTES, FeatureCache

__all__ = ["SHARED_BYTES", "Feature", "FeatureCache", "FeatureMatrix", "feature_matrix"]
