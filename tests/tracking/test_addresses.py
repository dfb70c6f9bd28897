"""Checks that no form of an address shows its password, token or query value."""

from __future__ import annotations

import pytest

from lrcycles.tracking.addresses import masked, masked_text, reason
from lrcycles.tracking.writers import clean_params, clean_tags

# Each holds TOP-SECRET where a password, a token or a query value may stand.
SECRET = "TOP-SECRET"
ADDRESSES = [
    "http://ann:TOP-SECRET@host:5000",
    "https://TOP-SECRET@host",
    "https://TOP-SECRET:@host/path",
    "https://host/?token=TOP-SECRET",
    "https://host?password=TOP-SECRET&user=ann",
    "https://host/path?TOP-SECRET",
    "https://host/#access_token=TOP-SECRET",
    "https://host;password=TOP-SECRET",
    "https://host/?a=1?token=TOP-SECRET",
    "https://host/?mail=a@b.c&token=TOP-SECRET",
    "https://host/?key=ann@TOP-SECRET",
    "http://ann:TOP-SECRET@[::1",
    "http://ann:TOP-SECRET@host:99999999",
    "http://ann:TOP@TOP-SECRET@host",
    "http:/ann:TOP-SECRET@host",
    "http:ann:TOP-SECRET@host",
    "//ann:TOP-SECRET@host",
    "ann:TOP-SECRET@host:5000",
    "TOP-SECRET@host",
    "host?token=TOP-SECRET",
    "htp://ann:TOP-SECRET@host",
    "postgresql://ann:TOP-SECRET@host/runs",
    "postgresql://ann:slash/TOP-SECRET@host/runs",
    "postgresql://ann:mark?TOP-SECRET@host/runs",
    "postgresql+psycopg2://host/runs?user=ann&password=TOP-SECRET",
    "mysql+pymysql://ann:TOP-SECRET@host:3306/runs",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3D{x};PWD%3DTOP-SECRET",
    "sqlite+pysqlcipher://:TOP-SECRET@/runs.db",
    "databricks://TOP-SECRET@profile",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_form_of_an_address_shows_its_secret(address):
    assert SECRET not in masked(address)
    assert SECRET not in masked_text(f"cannot parse {address!r}, see {address}", address)
    part = ValueError(f"Port could not be cast to integer value as 'x{SECRET}x', or {SECRET}")
    assert SECRET not in reason(part, address)


@pytest.mark.parametrize("address", [form for form in ADDRESSES if "://" in form])
def test_addresses_in_parameters_and_tags_show_no_secret(address):
    assert SECRET not in str(clean_params({"data.path": f"from {address} on"}))
    assert SECRET not in str(clean_tags({"note": f"see `{address}`."}))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://host:5000/path", "http://host:5000/path"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("postgresql://ann:TOP-SECRET@host/runs", "postgresql://***@host/runs"),
        ("https://host/?token=TOP-SECRET&page=2", "https://host/?token=***&page=***"),
    ],
)
def test_what_names_the_place_of_a_store_stays(address, shown):
    assert masked(address) == shown


def test_secrets_of_the_environment_are_hidden_in_messages(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    assert reason(OSError(f"Bearer {SECRET} is refused."), "http://host") == "Bearer *** is refused"
