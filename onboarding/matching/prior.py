"""Starting weights of the two models, in log-odds; how they were found is in docs/matching.md."""

from __future__ import annotations

from onboarding.matching import training

WEIGHTS: dict[str, float] = {
    "cosine": 3.33,
    "covered_least": 1.06,
    "covered_most": 2.79,
    "jaccard": 0.76,
    "spelling": -0.67,
    "code_equal": 2.79,
    "code_partly": -0.18,
    "code_conflict": -1.83,
    "number_shared": -0.33,
    "number_conflict": 0.2,
    "number_extra": 0.32,
    "quantity_equal": -0.15,
    "quantity_conflict": -2.09,
    "size_equal": 0.16,
    "size_conflict": 0.09,
    "colour_equal": 0.46,
    "colour_conflict": 0.69,
    "colour_least": -0.1,
    "colour_most": -0.08,
    "early_conflict": -0.76,
    "early_number_conflict": -1.58,
    "alternative": -1.59,
    "described": 3.06,
    "described_code": 1.33,
    "price_near": 0.55,
    "price_far": -2.34,
    "brand_equal": -0.04,
    "brand_conflict": 0.5,
    "gtin_equal": 12,
    "gtin_close": 8,
    "sku_equal": 6,
    "sku_loose": 5,
    "first_equal": 1.4,
    "option_missing": -3,
    "option_conflict": -5,
    "pair_start": -4.16,
    "scale": 0.37,
    "margin_left": 0.23,
    "margin_right": 0.01,
    "margin_worst": 0.19,
    "start": -1.65,
}


def weights() -> training.Weights:
    return training.load(WEIGHTS)
