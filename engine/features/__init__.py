"""Features: causal functions of bars, lagged in one place."""

from engine.features.base import Feature, FeatureMatrix, feature_matrix

__all__ = ["Feature", "FeatureMatrix", "feature_matrix"]
