"""Starting weights of the two models, in log-odds; how they were found is in docs/matching.md."""

from __future__ import annotations

from onboarding.matching import training

WEIGHTS: dict[str, float] = {
    "cosine": 3.35,
    "covered_least": 1.11,
    "covered_most": 2.8,
    "jaccard": 0.62,
    "spelling": -0.46,
    "code_equal": 2.78,
    "code_partly": -0.17,
    "code_conflict": -1.79,
    "number_shared": -0.33,
    "number_conflict": 0.2,
    "number_extra": 0.34,
    "quantity_equal": -0.19,
    "quantity_conflict": -2.11,
    "size_equal": 0.2,
    "size_conflict": 0.1,
    "colour_equal": 0.41,
    "colour_conflict": 0.65,
    "colour_least": -0.13,
    "colour_most": -0.07,
    "early_conflict": -0.74,
    "early_number_conflict": -1.58,
    "alternative": -1.59,
    "described": 3.1,
    "described_code": 1.49,
    "price_near": 0.51,
    "price_far": -2.42,
    "brand_equal": -0.05,
    "brand_conflict": 0.51,
    "gtin_equal": 12,
    "gtin_close": 8,
    "sku_equal": 6,
    "sku_loose": 5,
    "first_equal": 1.39,
    "option_missing": -3,
    "option_conflict": -5,
    "pair_start": -4.24,
    "scale": 0.38,
    "margin_left": 0.24,
    "margin_right": 0.01,
    "margin_worst": 0.18,
    "start": -1.64,
}


def weights() -> training.Weights:
    return training.load(WEIGHTS)
