from django.urls import URLPattern, path

from storestudio.accounts import views

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("theme/", views.theme, name="theme"),
]
