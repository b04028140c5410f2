"""Features: causal functions of bars, lagged in one place."""

from engine.features.base import Feature, FeatureMatrix, feature_matrix
from engine.features.cache import FeatureCache

__all__ = ["Feature", "FeatureCache", "FeatureMatrix", "feature_matrix"]
