"""The servers of the recipes for signed requests verify what the vendors publish."""

from __future__ import annotations

from tests.docs.servers.signing import sign_for_binance


def test_the_server_makes_the_signature_that_binance_publishes() -> None:
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
    query = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
        "&timestamp=1591702613943"
    )
    key = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    assert sign_for_binance(key, query) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
