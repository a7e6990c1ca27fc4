"""Settings of the vendor sandbox process: the product's own, with the sandbox's URLs and no browser middleware."""

from django.core.exceptions import ImproperlyConfigured

from storestudio.settings import *  # noqa: F403
from storestudio.settings import INSTALLED_APPS, SANDBOX

if not SANDBOX:
    raise ImproperlyConfigured("The vendor sandbox is served only when SANDBOX=true.")

ROOT_URLCONF = "channels.sandbox.urls"
WSGI_APPLICATION = "storestudio.sandbox_wsgi.application"
MIDDLEWARE = []
# Nobody signs in here, and allauth insists on its middleware.
INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.startswith("allauth")]
APPEND_SLASH = False
ALLOWED_HOSTS = ["*"]
