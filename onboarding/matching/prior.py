"""Where matching starts from, in log-odds: weights for any two catalogs. docs/matching.md says how they were found."""

from __future__ import annotations

from onboarding.matching import training

# Found by regularised logistic regression over four public pairs of catalogs, each counting the same. They know no word
# and no code, only how much it means that two listings share one.
LEARNED: dict[str, float] = {
    "cosine": 3.42,
    "covered_least": 1.05,
    "covered_most": 2.76,
    "jaccard": 0.7,
    "spelling": -0.57,
    "code_equal": 2.8,
    "code_partly": -0.2,
    "code_conflict": -1.86,
    "number_shared": -0.3,
    "number_conflict": 0.18,
    "number_extra": 0.3,
    "quantity_equal": -0.14,
    "quantity_conflict": -2.1,
    "colour_equal": 0.46,
    "colour_conflict": 0.68,
    "colour_least": -0.09,
    "colour_most": -0.07,
    "early_conflict": -0.8,
    "early_number_conflict": -1.54,
    "alternative": -1.59,
    "described": 3.24,
    "described_code": 1.42,
    "price_near": 0.46,
    "price_far": -2.38,
    "brand_equal": -0.05,
    "brand_conflict": 0.5,
    "first_equal": 1.42,
    "pair_start": -4.21,
    "scale": 0.36,
    "margin_left": 0.09,
    "margin_right": -0.04,
    "margin_worst": 0.36,
    "start": -1.52,
}

# Set by hand: no public pair of catalogs has identifiers or options to learn these from.
BY_HAND: dict[str, float] = {
    "gtin_equal": 12.0,
    "gtin_close": 8.0,
    "sku_equal": 2.0,  # on top of the next, which is there whenever this one is
    "sku_loose": 4.0,
    "size_equal": 0.3,
    "size_conflict": -2.0,
    "option_missing": -3.0,
    "option_conflict": -8.0,
}


def weights() -> training.Weights:
    return training.load(LEARNED, final=BY_HAND)
