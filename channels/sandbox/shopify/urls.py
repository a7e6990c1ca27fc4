from django.urls import path

from channels.sandbox.shopify import http

urlpatterns = [
    path("<str:domain>/admin/api/<str:version>/graphql.json", http.graphql),
    path("<str:domain>/admin/oauth/access_token", http.access_token),
    path("<str:domain>/admin/oauth/authorize", http.authorize),
    path("<str:domain>/bulk/<str:name>", http.bulk_lines),
]
