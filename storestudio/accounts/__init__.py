"""The account room: who may see and do what, for which shop, and what they did."""
