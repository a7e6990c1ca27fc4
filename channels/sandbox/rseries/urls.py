"""The vendor's addresses: one for tokens, the others below an account."""

from django.urls import path, re_path

from channels.sandbox.rseries import oauth, sales, shop
from channels.sandbox.rseries.http import View, methods, unknown_path


def _api(address: str, **views: View) -> object:
    return re_path(rf"^API/V3/Account/(?P<account_id>\d+)/{address}\.json$", methods(**views))


NUMBER = r"(?P<number>\d+)"

urlpatterns = [
    path("auth/oauth/authorize", oauth.authorize),
    path("auth/oauth/token", oauth.token),
    path("API/Session.json", methods(GET=shop.session)),
    re_path(r"^API/V3/Account/(?P<account_id>\d+)\.json$", methods(GET=shop.account)),
    _api("Shop", GET=shop.shops),
    _api("Item", GET=shop.items),
    _api(f"Item/{NUMBER}", GET=shop.item, PUT=shop.update_item, DELETE=shop.archive_item),
    _api("ItemMatrix", GET=shop.matrices),
    _api("ItemShop", GET=shop.item_shops),
    _api("InventoryLog", GET=shop.logs),
    _api("Sale", GET=sales.sales, POST=sales.create),
    _api(f"Sale/{NUMBER}", GET=sales.sale, PUT=sales.update),
    _api(f"Sale/{NUMBER}/refund", POST=sales.refund),
    _api("SaleLine", GET=sales.lines, POST=sales.set_aside),
    _api(f"SaleLine/{NUMBER}", DELETE=sales.let_go),
    re_path(r"^.*$", unknown_path),
]
