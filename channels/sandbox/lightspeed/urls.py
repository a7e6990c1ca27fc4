"""The vendor's addresses, below one prefix a retailer. Any date version is served by the one there is, silently."""

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox.lightspeed import consignments, hooks, inventory, oauth, products, sales, shop
from channels.sandbox.lightspeed.http import View, answer_error, methods, unknown_path

UUID = "[0-9A-Za-z-]+"


def _api(address: str, **views: View) -> object:
    return re_path(rf"^(?P<prefix>[a-z0-9-]+)/api/(?P<version>\d{{4}}-\d{{2}})/{address}$", methods(**views))


def _post_only(view: View) -> View:
    @csrf_exempt
    def dispatch(request: HttpRequest, **ids: str) -> HttpResponse:
        return view(request, **ids) if request.method == "POST" else answer_error(405, "No such method here.")

    return dispatch


PRODUCT, SALE, HOOK = rf"(?P<product_id>{UUID})", rf"(?P<sale_id>{UUID})", rf"(?P<hook_id>{UUID})"
CONSIGNMENT = rf"consignments/(?P<consignment_id>{UUID})"

urlpatterns = [
    path("connect", oauth.connect),
    path("<slug:prefix>/api/1.0/token", _post_only(oauth.token)),
    _api("retailer", GET=shop.retailer),
    _api("user", GET=shop.user),
    _api("taxes", GET=shop.list_taxes),
    _api("payment_types", GET=shop.list_payment_types),
    _api("outlets", GET=shop.list_outlets),
    _api(rf"outlets/(?P<outlet_id>{UUID})", GET=shop.get_outlet),
    _api("registers", GET=shop.list_registers),
    _api("variant_attributes", GET=shop.list_attributes, POST=shop.create_attribute),
    _api("products", GET=products.list_products, POST=products.create),
    _api(f"products/{PRODUCT}", GET=products.get, PUT=products.update, DELETE=products.delete),
    _api("inventory", POST=inventory.list_inventory),
    _api(f"inventory/{PRODUCT}", GET=inventory.get_inventory),
    _api("inventory_levels", POST=inventory.list_levels),
    _api("stock_adjustments", GET=inventory.list_adjustments, POST=inventory.create_adjustments),
    _api("custom_inventory_adjustment_reasons", GET=inventory.list_reasons, POST=inventory.create_reason),
    _api("consignments", GET=consignments.list_consignments, POST=consignments.create),
    _api(CONSIGNMENT, PUT=consignments.update),
    _api(f"{CONSIGNMENT}/products", GET=consignments.list_lines, POST=consignments.add_line),
    _api(f"{CONSIGNMENT}/products/{PRODUCT}", PUT=consignments.change_line),
    _api(f"{CONSIGNMENT}/bulk", POST=consignments.bulk),
    _api("sales", GET=sales.list_sales, POST=sales.create),
    _api(f"sales/{SALE}", GET=sales.get, PUT=sales.update),
    _api(f"sales/{SALE}/actions/return", POST=sales.give_back),
    _api("webhooks", GET=hooks.list_hooks, POST=hooks.create),
    _api(f"webhooks/{HOOK}", GET=hooks.get, PUT=hooks.update, DELETE=hooks.delete),
    re_path(r"^.*$", unknown_path),
]
