"""One server for both sides: the stand-ins, and our webhook addresses."""

from channels.sandbox import urls as sandbox_urls
from storestudio import urls as studio_urls

urlpatterns = [*sandbox_urls.urlpatterns, *studio_urls.urlpatterns]
