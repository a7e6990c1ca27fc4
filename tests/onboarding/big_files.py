"""Large made-up catalogs, and what reading them costs. Run as a script: python tests/onboarding/big_files.py [MB]."""

import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import openpyxl

HEADER = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Type",
    "Tags",
    "Published",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Inventory Policy",
    "Variant Price",
    "Variant Compare At Price",
    "Variant Barcode",
    "Image Src",
    "Variant Image",
    "Cost per item",
    "Status",
]
SIZES = ("S", "M", "L", "XL")
BODY = '<p>Soft, warm\n and "nice"</p>' * 3


def products(number):
    """The four rows of a product."""
    for place, size in enumerate(SIZES):
        once = [f"Shirt é {number}", BODY, "Acme", "Shirts", "a, b", "true", "Size"] if not place else [""] * 7
        option = ["Color" if not place else "", "Red"]
        stock = ["200", "shopify", str(number % 50), "deny", "19.99", "25.00", f"50{number:010d}0"]
        status = "active" if not place else ""
        image = f"https://img.example/{number}.jpg"
        yield [f"shirt-{number}", *once, size, *option, f"SH-{number}-{size}", *stock, image, "", "8.00", status]


def write_csv(path, *, size):
    """At least `size` bytes; the number of variants."""
    number = 0
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        while number % 500 or out.tell() < size:
            number += 1
            writer.writerows(products(number))
    return number * len(SIZES)


def write_xlsx(path, *, variants):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Products")
    sheet.append(HEADER)
    for number in range(1, variants // len(SIZES) + 1):
        for row in products(number):
            sheet.append(row)
    book.save(path)
    return variants


def measure(path, after=0):
    """Read in a process of its own, whose peak memory is then this file's: (rows, seconds, peak MB)."""
    done = subprocess.run(
        [sys.executable, __file__, "--read", str(path), str(after)],
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    rows, seconds, peak = done.stdout.split()
    return int(rows), float(seconds), int(peak)


def _read(path, after):
    sys.path.insert(0, str(Path.cwd()))
    from onboarding import reading

    begun = time.monotonic()
    with open(path, "rb") as stream:
        rows = sum(1 for _ in reading.read(stream, name=path).rows(after=int(after)))
    sys.stdout.write(f"{rows} {time.monotonic() - begun:.1f} {_peak()}\n")


def _peak():
    """Highest resident memory of this process in MB. Not ru_maxrss on Linux: that begins with the parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def _bench(megabytes):
    with tempfile.TemporaryDirectory() as folder:
        table, book = Path(folder, "big.csv"), Path(folder, "big.xlsx")
        write_csv(table, size=megabytes * 1024 * 1024)
        write_xlsx(book, variants=50_000)
        for path, after in ((table, 0), (table, 10**9), (book, 0)):
            rows, seconds, peak = measure(path, after)
            said = f"{rows} rows" if not after else "all rows passed over"
            size = path.stat().st_size // 1024**2
            sys.stdout.write(f"{path.name} {size} MB: {said}, {seconds} s, {rows / seconds:.0f}/s, {peak} MB\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        _read(*sys.argv[2:])
    else:
        _bench(int((sys.argv[1:] or ["200"])[0]))
