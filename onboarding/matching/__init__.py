"""Which listing is which thing: pairs of two catalogs, products behind flattened listings. Plain Python, no Django."""
