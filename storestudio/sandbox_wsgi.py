"""WSGI entry point of the vendor sandbox, served on a port of its own and only when SANDBOX=true."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "storestudio.sandbox_settings"
application = get_wsgi_application()
