"""Starting weights of the two models, in log-odds; how they were found is in docs/matching.md."""

from __future__ import annotations

from onboarding.matching import training

WEIGHTS: dict[str, float] = {
    "cosine": 3.93,
    "covered_left": 2.36,
    "covered_right": 2.29,
    "jaccard": 0.35,
    "spelling": -1.38,
    "code_equal": 2.96,
    "code_partly": 0.28,
    "code_conflict": -2.33,
    "number_shared": -0.36,
    "number_conflict": -0.54,
    "number_extra": 0.25,
    "quantity_equal": 0.02,
    "quantity_conflict": -2.65,
    "size_equal": 0.08,
    "size_conflict": 0.02,
    "alternative": -1.44,
    "described_left": 1.3,
    "described_right": 3.25,
    "described_code": 1.56,
    "price_near": 0.63,
    "price_far": -2.31,
    "brand_equal": -0.11,
    "brand_conflict": 0.56,
    "gtin_equal": 12,
    "gtin_close": 8,
    "sku_equal": 6,
    "sku_loose": 5,
    "first_equal": 1.59,
    "pair_start": -4.6,
    "scale": 0.39,
    "margin_left": 0.33,
    "margin_right": 0.05,
    "margin_worst": 0.06,
    "start": -1.73,
}


def weights() -> training.Weights:
    return training.load(WEIGHTS)
