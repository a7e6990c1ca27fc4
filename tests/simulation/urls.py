"""One server for both sides: the stand-ins, and our webhook addresses."""

from channels import registry
from channels.sandbox import urls as sandbox_urls
from storestudio import urls as studio_urls

for name in registry.CHANNELS:  # whatever is loaded later would not see the schedule's clock
    registry.connector_class(name)

urlpatterns = [*sandbox_urls.urlpatterns, *studio_urls.urlpatterns]
