"""Where matching starts from, in log-odds: weights for any two catalogs. docs/matching.md says how they were found."""

from __future__ import annotations

from onboarding.matching import training

# Found by regularised logistic regression over four public pairs of catalogs, each counting the same. They know no word
# and no code, only how much it means that two listings share one.
LEARNED: dict[str, float] = {
    "cosine": 1.32,
    "covered_least": 0.64,
    "covered_most": 1.28,
    "jaccard": 0.47,
    "shared_weight": -0.27,
    "rarest_shared": 4.85,
    "early_least": 1.3,
    "early_most": 2.65,
    "spelling": -0.24,
    "code_equal": 1.99,
    "code_partly": -0.12,
    "code_conflict": -1.95,
    "number_shared": -0.3,
    "number_conflict": -0.27,
    "number_extra": 0.13,
    "quantity_equal": -0.24,
    "quantity_conflict": -1.89,
    "colour_equal": 0.51,
    "colour_conflict": 0.43,
    "colour_least": -0.06,
    "colour_most": 0.12,
    "early_conflict": 0.31,
    "early_number_conflict": -1.2,
    "alternative": -1.46,
    "described": 3.28,
    "described_code": 1.12,
    "price_near": 0.54,
    "price_far": -2.09,
    "brand_equal": 0.16,
    "brand_conflict": 0.48,
    "first_equal": 1.12,
    "pair_start": -7.71,
    "scale": 0.81,
    "rivals": 0.48,
    "rivals_worst": -0.02,
    "start": -0.55,
}

# Set by hand: no public pair of catalogs has identifiers or options to learn these from.
BY_HAND: dict[str, float] = {
    "gtin_equal": 12.0,
    "gtin_close": 8.0,
    "sku_equal": 2.0,  # on top of the next, which is there whenever this one is
    "sku_loose": 4.0,
    "size_equal": 0.0,
    "size_conflict": -2.0,
    "option_missing": -3.0,
    "option_conflict": -8.0,
}


def weights(learned: dict[str, float] = LEARNED) -> training.Weights:
    return training.load(learned, final=BY_HAND)
