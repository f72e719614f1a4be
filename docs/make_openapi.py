"""Write docs/openapi.json from the endpoints of the API: python docs/make_openapi.py"""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import MagicMock

from m365gw.admin.api import Api
from m365gw.admin.openapi import described
from m365gw.service.accounts import Accounts
from m365gw.service.faces import fill


def page() -> str:
    """The description as it should stand there; nobody stands behind the endpoints."""
    api, parts = Api(MagicMock()), MagicMock()
    accounts = MagicMock()
    accounts.serve = lambda api: Accounts.serve(accounts, api)
    fill(api, parts, MagicMock(), accounts, MagicMock())
    return json.dumps(described(api.endpoints), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("openapi.json").write_text(page(), encoding="utf-8")
