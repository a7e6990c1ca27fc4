"""The shop's own site and apps: the Holds API, its tokens, and the signed webhooks that go out."""
