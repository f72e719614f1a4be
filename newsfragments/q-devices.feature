What old devices do wrong is mended on the way in, listener by listener: missing fields, lone CR or LF, raw 8-bit text, TLS 1.0 for named networks (docs/devices.md).
