"""Prints one JSON text as tools return it: 3,000 orders with a customer, two lines and a note each, the same every time."""

import json
import random

r = random.Random(3)


def order(number):
    line = lambda: {
        "sku": f"SKU-{r.randint(1000, 9999)}-XK", "quantity": r.randint(1, 9), "price": r.randint(100, 9999) / 100,
        "description": "Steel bracket, galvanised, for outdoor use; sold in packs of twelve.",
    }
    return {
        "id": number, "order_ref": f"ORD-2025-{r.randint(1, 999999):06}", "status": r.choice(["open", "paid", "shipped"]),
        "customer": {"name": r.choice(["Ada Lovelace", "Grace Hopper", "Bo Berg"]), "email": f"user{r.randint(1, 9999)}@example.com", "city": "London"},
        "lines": [line(), line()], "created_at": "2025-03-04T10:22:33Z",
        "note": "Delivered to the reception without a signature; customer asked for a refund on the second item.",
    }


print(json.dumps([order(number) for number in range(3000)], separators=(",", ":")))
