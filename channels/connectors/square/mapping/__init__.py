"""Square's JSON and our values, either way: pure functions, no HTTP."""
