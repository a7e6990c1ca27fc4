from django.urls import URLPattern, re_path

from channels.own.api.dispatch import api

urlpatterns: list[URLPattern] = [re_path(r"^v1(?P<path>(?s:/.*)?)$", api, name="api")]
