What old devices and programs do wrong and what to set for them stands in `docs/devices.md`, each with the test that holds it; the quirk `no-helo-name` takes the bare HELO of UPS cards.
