"""The keys of a lease, and the names of their holders."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.gateway.auth.api_keys import ApiKeys, panel_of
from fal_jupyter.gateway.storage.store import Store
from fal_jupyter.secret_store import SecretStore


def test_another_name_of_the_owner_leaves_it_apparent_which_key_is_a_panels(tmp_path: Path) -> None:
    async def holders() -> list[str]:
        store = Store(tmp_path / "store.db")
        keys = ApiKeys(store, SecretStore(tmp_path))
        for lease, holder in (("1", "a.ipynb"), ("1", panel_of("a.ipynb")), ("2", "a.ipynb"), ("1", "fal-jupyter env")):
            await keys.add(*id_and_hash(make_key()), lease, holder)
        await keys.rename("1", "a.ipynb", "b.ipynb")
        listed = [key["holder"] for key in keys.listed()]
        store.close()
        return listed

    expected = ["b.ipynb", "a panel of b.ipynb", "a.ipynb", "fal-jupyter env"]
    assert asyncio.run(holders()) == expected
    with closing(sqlite3.connect(tmp_path / "store.db")) as db:
        assert sorted(holder for (holder,) in db.execute("SELECT holder FROM keys")) == sorted(expected)
