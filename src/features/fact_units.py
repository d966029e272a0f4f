"""Units of the fields of facts: with prices in another currency, or shares of another size, these change alike."""

from __future__ import annotations

from src.features.facts import Facts

MONEY = {
    "insider_trades": ("value",),
    "statements": ("assets", "assets_before", "equity", "revenue", "gross_profit", "net_income", "operating_cash"),
}
MONEY_A_SHARE = {"insider_trades": ("price",)}
SHARES = {
    "insider_trades": ("shares", "held"),
    "statements": ("shares", "shares_before"),
    "chain_summaries": ("volume",),
}


def in_other_units(kind: str, facts: Facts, money: float = 1.0, shares: float = 1.0) -> Facts:
    """Facts as they would be with other units of money and of shares.

    Parameters
    ----------
    kind : str
    facts : Facts
    money, shares : float
        What the numbers of one unit are multiplied by.

    Returns
    -------
    Facts
    """
    by = dict.fromkeys(MONEY.get(kind, ()), money) | dict.fromkeys(SHARES.get(kind, ()), shares)
    by |= dict.fromkeys(MONEY_A_SHARE.get(kind, ()), money / shares)
    fields = {name: values * by.get(name, 1.0) for name, values in facts.fields.items()}
    return Facts(facts.seen, facts.covered, facts.known, fields, facts.close, facts.since)
