"""The Holds API: `/api/v1/…`, JSON in and out, errors as problem details (RFC 9457), described by OpenAPI 3.1."""
