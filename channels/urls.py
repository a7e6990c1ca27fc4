from django.urls import URLPattern, path

from channels import views

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/", views.today, name="today"),
    path("<slug:shop>/pulse/", views.pulse, name="pulse"),
]
