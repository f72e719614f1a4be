A release comes with a bill of materials (CycloneDX), and whoever builds the same commit gets the same octets. Python 3.11 to 3.14 are declared.
