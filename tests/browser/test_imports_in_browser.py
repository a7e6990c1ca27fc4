"""The import pages in a real browser: nothing axe can find wrong, a file chosen, watched, applied and taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils.timezone import now as utc_now
from playwright.sync_api import expect

from inventory import ledger
from inventory.models import Variant
from onboarding.importing import deciding, working
from onboarding.models import ImportBatch
from tests import factories
from tests.browser import scenes
from tests.browser.test_pages_in_browser import look_at, open_context, sign_in
from tests.onboarding.imports_shop import COLUMNS, HEADERS, applied, run, staged, table, undone, upload

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PLACE = {"Stock": "quantity"}


def goods(shop: Any) -> bytes:
    """A file that changes some of the scene's goods, brings new ones, and has rows that cannot be."""
    rows: list[dict[str, Any]] = []
    for number, variant in enumerate(Variant.objects.filter(merchant=shop).order_by("pk")):
        size = variant.title.split(" / ")[0]
        rows.append(
            {
                "Title": variant.product.title.replace("Denim", "Jeans"),
                "SKU": variant.sku,
                "Price": "52.00" if number % 3 else "49.00",
                "Vendor": "Alder & Co",
                "Option 1 name": "Size",
                "Option 1 value": size,
                "Product group": variant.product_id,
                "Stock": number,
            }
        )
    rows += [
        {"Title": "Oak Tray with a rather long name that has to wrap", "SKU": f"OAK-{size}", "Price": "19",
         "Vendor": "Alder & Co", "Option 1 name": "Size", "Option 1 value": size, "Product group": "oak",
         "Barcode": "4006381333931" if size == "Small" else "", "Stock": 4}
        for size in ("Small", "Medium", "Large")
    ]  # fmt: skip
    rows += [rows[-1], {"SKU": "1.23E+12", "Title": "Damaged", "Price": "much"}, {"Price": "3"}]
    return table(rows, headers=[*HEADERS, "Stock"])


def many(shop: Any) -> dict[str, ImportBatch]:
    """An import in every state."""
    everything = COLUMNS | PLACE
    body = goods(shop)
    preview = staged(shop, body, columns=everything, name="Spring range.csv")
    place = factories.LocationFactory(merchant=shop, name="Pop-up")
    variant = Variant.objects.filter(merchant=shop).order_by("pk").first()
    with transaction.atomic():
        entry = ledger.Entry(
            variant_id=variant.pk, location_id=place.pk, kind=ledger.Kind.OPENING, key="o", occurred_at=utc_now(),
            counted=Decimal(40),
        )  # fmt: skip
        ledger.post(merchant_id=shop.pk, source="test", entries=[entry])
    cut = staged(shop, body, columns=everything, name="Counts that cut.csv")
    deciding.set_counts(batch_id=cut.pk, locations={"": place.pk}, sets_counts=True, actor=None)
    run(cut)
    failed = run(upload(shop, b"%PDF-1.7 ...", name="Brochure.csv"))
    gone = undone(applied(shop, table([{"Title": "Bowl", "SKU": "BOWL"}]), columns=COLUMNS))
    done = applied(shop, table([{"Title": "Plate", "SKU": "PLATE", "Price": "8"}]), columns=COLUMNS)
    mapping = run(upload(shop, table([{"Artikel": "Vase", "Blorp": "VASE-1", "Preis": "4,50"}],
                                     headers=["Artikel", "Blorp", "Preis"]), name="Lieferant.csv"))  # fmt: skip
    running = factories.ImportBatchFactory(
        merchant=shop, name="Big one.csv", state="applying", phase="apply", rows_done=23_500, work_total=50_000,
        rows_total=50_210, phase_at=utc_now() - working.LEASE / 4, lease_until=utc_now() + working.LEASE * 99,
    )  # fmt: skip
    return {
        "preview": preview, "cut": cut, "failed": failed, "undone": gone, "applied": done, "columns": mapping,
        "running": running,
    }  # fmt: skip


def test_import_pages_have_no_accessibility_violation(browser, client, live_server):
    scene = scenes.full()
    home = f"{scene.home}imports/"
    batches = many(scene.merchant)
    paths = {name: f"{home}{batch.pk}/" for name, batch in batches.items()}
    paths |= {
        "list": home,
        "new": f"{home}new/",
        "preview-new": f"{paths['preview']}?show=new",
        "preview-error": f"{paths['preview']}?show=error",
        "preview-nothing": f"{paths['preview']}?show=new&q=zebra",
        "undo": f"{paths['applied']}undo/",
    }
    found = look_at(browser, client, live_server, "imports", paths, scene.user)
    assert not found, "\n".join(found)


def test_the_empty_list_and_a_shop_without_channels(browser, client, live_server):
    scene = scenes.empty()
    paths = {"list": f"{scene.home}imports/", "new": f"{scene.home}imports/new/"}
    found = look_at(browser, client, live_server, "imports-empty", paths, scene.user)
    assert not found, "\n".join(found)


def test_a_file_is_dropped_watched_applied_and_taken_back(browser, client, live_server, tmp_path):
    scene = scenes.full()
    file = tmp_path / "goods.csv"
    file.write_bytes(table([{"Title": f"Bowl {n}", "SKU": f"BOWL-{n}", "Price": "5"} for n in range(60)]))
    context = open_context(browser, width=1440, theme="light")
    sign_in(context, client, live_server, scene.user)
    page = context.new_page()
    page.goto(f"{live_server.url}{scene.home}imports/")
    page.get_by_role("link", name="New import").or_(page.get_by_role("link", name="Import the first file")).click()
    page.set_input_files("#id_file", file)
    expect(page.locator("[data-drop-name]")).to_contain_text("goods.csv")
    page.get_by_role("button", name="Look at it", exact=True).click()
    expect(page.locator("#progress")).to_be_visible()
    batch = ImportBatch.objects.order_by("-pk").first()
    assert batch is not None
    run(batch)
    expect(page.get_by_role("heading", name="What are its columns?")).to_be_visible()
    page.get_by_role("button", name="Read it like this").click()
    expect(page.locator("#progress")).to_be_visible()
    run(batch)
    expect(page.get_by_role("heading", name="Apply it?")).to_be_visible()
    rows = page.locator(".import-rows tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(rows).to_have_count(10)
    page.fill("#row-search", "bowl-7")
    page.press("#row-search", "Enter")
    page.wait_for_url("**q=bowl-7**")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#progress")).to_be_visible()
    run(batch)
    expect(page.get_by_role("link", name="Undo it")).to_be_visible()
    assert Variant.objects.filter(merchant=scene.merchant, sku__startswith="BOWL").count() == 60
    page.get_by_role("link", name="Undo it").click()
    page.get_by_role("button", name="Undo the import").click()
    expect(page.locator("#progress")).to_be_visible()
    run(batch)
    expect(page.get_by_role("heading", name="Undone")).to_be_visible()
    assert not Variant.objects.filter(merchant=scene.merchant, sku__startswith="BOWL").exists()
    context.close()
