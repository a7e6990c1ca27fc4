"""What the columns of catalogs are called, in English, German, French, Spanish and Dutch."""

from __future__ import annotations

import re


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", " ").split(",") if word.strip())


HEADER_WORDS: dict[str, tuple[str, ...]] = {
    "product_title": _words("""
title, name, product, product name, product title, item, item name, item title, article, description, short description,
product description, item description, style name, titel, bezeichnung, artikelbezeichnung, artikelname, produkt,
produktname, beschreibung, artikel, nom, titre, nom du produit, produit, désignation, libellé, libelle article, nombre,
título, nombre del producto, producto, nombre producto, denominación, descripción, artículo, naam, productnaam,
artikelnaam, omschrijving, artikelomschrijving, productomschrijving, product naam"""),
    "variant_title": _words("""
variant, variant name, variant title, variation, variation name, variante, variantenname, nom de variante,
déclinaison, nombre de variante, variación, variantnaam"""),
    "product_key": _words("""
handle, url handle, slug, parent sku, parent, style, style code, style number, style no, model, model number,
group, item group id, product group, master sku, modell, modellnummer, produktgruppe, hauptartikel, modèle,
référence parent, modelo, sku padre, modelnummer, hoofdartikel"""),
    "vendor": _words("""
vendor, brand, brand name, manufacturer, maker, supplier, supplier name, marke, hersteller, lieferant, marque,
fabricant, fournisseur, marca, fabricante, proveedor, merk, fabrikant, leverancier"""),
    "category": _words("""
category, categories, product category, product type, type, department, group name, class, collection,
kategorie, warengruppe, produkttyp, artikelgruppe, abteilung, catégorie, rayon, famille, categoría, familia,
tipo, departamento, categorie, productgroep, artikelgroep, afdeling, soort"""),
    "tags": _words(
        "tags, tag, labels, keywords, schlagworte, schlagwörter, stichworte, étiquettes, mots clés, etiquetas, "
        "trefwoorden"
    ),
    "sku": _words("""
sku, sku code, sku number, variant sku, item sku, product sku, item code, item number, item no, item id, product
code, article number, article no, article code, stock code, stock keeping unit, part number, part no, reference,
ref, code, artikelnummer, artikel nr, art nr, artikelnr, artnr, bestellnummer, référence, référence produit,
réf, code article, code produit, referencia, código, código de artículo, código de producto, cod, artikelcode,
productcode, bestelnummer"""),
    "gtin": _words("""
gtin, barcode, bar code, ean, ean13, ean 13, ean code, upc, upc a, upc code, isbn, gtin13, gtin14, gtin 13, gtin
14, variant barcode, upc ean, ean upc, barcode number, strichcode, ean nummer, gtin ean, code barre, code
barres, code barres ean, gencod, código de barras, codigo ean, código ean, streepjescode, barcodenummer"""),
    "price": _words("""
price, retail price, selling price, sell price, sale price, sales price, unit price, regular price, list price,
rrp, msrp, srp, rsp, web price, shop price, price inc vat, price incl vat, retail, preis, verkaufspreis, vk, vk
preis, brutto vk, bruttopreis, preis brutto, einzelpreis, endpreis, uvp, prix, prix de vente, prix ttc, prix
unitaire, pv ttc, prix public, precio, precio venta, precio de venta, pvp, precio unitario, prijs, verkoopprijs,
consumentenprijs, adviesprijs"""),
    "cost": _words("""
cost, cost price, unit cost, cost per item, supply price, purchase price, buy price, buying price, wholesale
price, wholesale, trade price, landed cost, einkaufspreis, ek, ek preis, netto ek, kosten, prix d achat, prix
achat, coût, pa ht, costo, coste, precio de compra, precio compra, precio de coste, inkoopprijs, kostprijs,
inkoop"""),
    "compare_at_price": _words("""
compare at price, compare at, was price, old price, original price, previous price, alter preis, streichpreis,
statt preis, ancien prix, prix barré, prix avant promo, precio anterior, precio original, precio tachado, van
prijs, oude prijs"""),
    "quantity": _words("""
quantity, qty, stock, stock quantity, stock qty, stock level, stock on hand, on hand, qoh, soh, qty on hand,
quantity on hand, inventory, inventory quantity, inventory qty, current stock, in stock qty, available,
available stock, count, units, bestand, lagerbestand, menge, anzahl, stück, stock actuel, quantité, qté,
quantité en stock, stock disponible, cantidad, existencias, stock actual, unidades, inventario, aantal,
voorraad, voorraadaantal, hoeveelheid"""),
    "is_tracked": _words("""
tracked, track inventory, track stock, track quantity, manage stock, is tracked, stock tracked, inventory
tracked, bestand führen, lagerverwaltung, suivi du stock, gérer le stock, gestionar inventario, controlar stock,
voorraad bijhouden"""),
    "sells_past_zero": _words("""
continue selling, continue selling when out of stock, oversell, allow oversell, backorder, backorders,
backorders allowed, allow backorders, sell when out of stock, überverkauf, rückstand erlaubt, vente hors stock,
vender sin stock, verkopen zonder voorraad, nabestelling"""),
    "status": _words("""
status, state, active, is active, published, archived state, product status, zustand, aktiv, statut, état,
actif, estado, activo, actief"""),
    "location": _words("""
location, location name, store, store name, shop, outlet, warehouse, branch, site, standort, lager, filiale,
lagerort, emplacement, magasin, entrepôt, boutique, ubicación, tienda, almacén, sucursal, locatie, winkel,
magazijn, vestiging, filiaal"""),
    "image_url": _words("""
image, image url, image link, image src, picture, photo, photo url, picture url, product image, main image,
bild, bild url, bildlink, foto, image produit, lien image, imagen, url imagen, url de imagen, afbeelding,
afbeelding url, foto url"""),
    "weight": _words("""
weight, item weight, net weight, gross weight, grams, weight kg, weight g, weight grams, gewicht, gewicht kg,
gewicht g, poids, poids kg, peso, peso kg, gewicht in kg"""),
    "weight_unit": _words(
        "weight unit, unit of weight, gewichtseinheit, unité de poids, unidad de peso, gewichtseenheid"
    ),
    "external_id": _words("""
id, variant id, variation id, token, system id, internal id, external id, varianten id, id variante,
identifiant, identificador, variant identifier"""),
    "external_product_id": _words(
        "product id, parent id, item group, produkt id, id produit, id producto, product identifier"
    ),
    **{
        f"option{slot}_{part}": _words(
            f"option{slot} {word}, option {slot} {word}, option {word} {slot}, {word} option {slot}, "
            f"attribute {slot} {word}, attribute{slot} {word}"
            + (f", option {slot}, option{slot}, attribute {slot}, variant option {slot}" if part == "value" else "")
        )
        for slot in (1, 2, 3)
        for part, word in (("name", "name"), ("value", "value"))
    },
}
OPTION_WORDS: dict[str, tuple[str, ...]] = {
    "size": _words("""
size, sizes, shoe size, clothing size, größe, grösse, groesse, schuhgröße, konfektionsgröße, taille, pointure,
talla, tamaño, maat, schoenmaat, afmeting"""),
    "color": _words(
        "color, colour, colors, colours, color name, colour name, farbe, farbton, couleur, coloris, color nombre, kleur"
    ),
    "material": _words("material, fabric, materiaal, matière, matériau, tela, stof, stoff"),
    "scent": _words(
        "scent, fragrance, flavour, flavor, duft, geschmack, parfum, senteur, goût, aroma, sabor, geur, smaak"
    ),
    "pack": _words("pack size, pack, packung, packungsgröße, conditionnement, envase, verpakking, verpakkingseenheid"),
    "length": _words("length, inseam, länge, longueur, largo, lengte"),
    "style": _words("finish, pattern, cut, fit, schnitt, muster, motif, coupe, acabado, patroon"),
}
# Said of other things too: a clearer header for the same field goes first.
WEAK_WORDS = _words("""
description, short description, item description, beschreibung, descripción, omschrijving, libellé, type, class,
group, collection, code, reference, ref, model, style, sale price, retail, list price, count, units, available,
id, active, state, supplier, supplier name, lieferant, fournisseur, proveedor, leverancier, item group,
wholesale, name 2, artikel, tipo, soort""")
_COUNTS = (
    "qty|quantity|stock|on hand|inventory|soh|bestand|lagerbestand|menge|quantité|stock à|existencias|cantidad"
    "|voorraad|aantal"
)
# "Stock Main Street", "Qty - Warehouse", "Bestand (Laden)"; and "Main Street stock".
QUANTITY_PLACE = (
    re.compile(rf"(?:{_COUNTS})[\s:@/(–-]+(?:at |in |à |en )?(.{{2,60}})", re.IGNORECASE),
    re.compile(rf"(.{{2,60}}?)[\s:/–-]+\(?(?:{_COUNTS})\)?", re.IGNORECASE),
)
