"""Options that the price verbs share, the price book they open, and how one quote is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer

from planner import terminal

if TYPE_CHECKING:
    from planner.cost import Currency
    from planner.documents import PlanDocument
    from planner.model import Rejection
    from planner.prices import PriceBook

Region = Annotated[str, typer.Option("--region", help="AWS Region, e.g. eu-west-2")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document")]
PricesFolder = Annotated[
    Path | None,
    typer.Option(
        "--prices", envvar="ECS_PLANNER_PRICES", help="Folder that `planner prices refresh` wrote; else embedded"
    ),
]
CurrencyCode = Annotated[str, typer.Option("--currency", help="Show amounts in this currency, e.g. GBP")]
Rate = Annotated[float | None, typer.Option("--rate", help="Units of the currency per USD")]
RateDate = Annotated[
    datetime | None, typer.Option("--rate-date", formats=["%Y-%m-%d"], help="The day of that rate")
]
NewConnections = Annotated[float, typer.Option(min=0, help="New connections a second")]
ActiveConnections = Annotated[float, typer.Option(min=0, help="Active connections a minute")]


def open_book(prices: Path | None) -> PriceBook:
    """The price book in force; BadInput where the folder is broken or has no snapshot."""
    from planner.prices import BrokenPriceFile, load
    from planner.prices.snapshots import current

    try:
        snapshot = None if prices is None else current(prices)
        if prices is not None and snapshot is None:
            raise terminal.BadInput(
                f"{prices} has no price snapshot: run `planner prices refresh --prices {prices}` first."
            )
        return load(snapshot)
    except BrokenPriceFile as error:
        raise terminal.BadInput(
            f"{error}. Choose another snapshot with `planner prices use`, or leave --prices out."
        ) from error


def read_plan(document: Path) -> PlanDocument:
    """A plan.json; BadInput names every problem with its path."""
    from planner.documents import DocumentError, load_plan

    try:
        return load_plan(document)
    except (DocumentError, OSError) as error:
        raise terminal.BadInput(f"{error}") from None


def write_file(path: Path, text: str) -> None:
    """Write an export whole; BadInput where the folder is not there or may not be written to."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise terminal.BadInput(f"{path} cannot be written: {error.strerror or error}.") from None


def check_region(book: PriceBook, region: str) -> None:
    if region not in book.regions:
        raise terminal.BadInput(f"{region} is no Region of the price book; use one of {', '.join(book.regions)}.")


def refuse(rejection: Rejection) -> terminal.Refusal:
    return terminal.Refusal(f"{rejection.what}: {rejection.reason}.")


def chosen_currency(code: str, rate: float | None, rate_date: datetime | None) -> Currency | None:
    from planner.cost.money import currency
    from planner.model import Rejection

    chosen = currency(code, rate, rate_date.date() if rate_date else None)
    if isinstance(chosen, Rejection):
        raise terminal.BadInput(f"{chosen.what}: {chosen.reason}.")
    return chosen


Quoted = tuple[dict[str, Any], str]
"""A quote's record and its title."""


def quoting(verb: Callable[..., Quoted]) -> Callable[..., None]:
    """A verb that quotes money, with the options that all of them share: the prices' folder, the currency and
    --json. `verb` takes the opened price book first, then its own options."""
    own = get_type_hints(verb, globalns=vars(sys.modules[verb.__module__]) | _book_type(), include_extras=True)
    options = [p.replace(annotation=own[p.name]) for p in signature(verb).parameters.values() if p.name != "book"]

    def command(**given: Any) -> None:
        shared = {name: given.pop(name) for name in _SHARED}
        book = open_book(shared["prices"])
        into = chosen_currency(shared["currency"], shared["rate"], shared["rate_date"])
        record, title = verb(book, **given)
        show(record, shared["as_json"], into, title)

    parameters = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in options]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _SHARED.items()
    ]
    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


_SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "prices": (PricesFolder, None),
    "currency": (CurrencyCode, "USD"),
    "rate": (Rate, None),
    "rate_date": (RateDate, None),
    "as_json": (AsJson, False),
}


def _book_type() -> dict[str, Any]:
    """The price book's type for verbs that import it for type checking only; it loads nothing here."""
    return {"PriceBook": object}


def show(record: dict[str, Any], as_json: bool, into: Currency | None, title: str) -> None:
    """One quote as JSON, or as a table of its money and its source."""
    from planner.cost.money import convert, format_money, rate_note

    if as_json:
        if into is not None:
            record["currency"] = {
                "code": into.code, "per_usd": into.per_usd, "rate_date": into.rate_date.isoformat(),
                "per_hour": convert(record["usd_per_hour"], into),
                "per_month": convert(record["usd_per_month"], into),
            }  # fmt: skip
        terminal.print_json(record)
        return
    print(title)
    print(f"  {format_money(record['usd_per_hour'], into, 4)} an hour")
    if (hours := record.get("billed_hours_per_month")) is not None:
        print(f"  {format_money(record['usd_per_month'], into)} a month for {hours:g} billed hours of each task")
    else:
        print(f"  {format_money(record['usd_per_month'], into)} a month of 730 hours")
    for line in record.get("lines", []):
        print(f"    {format_money(line['usd_per_hour'], into, 4):>12}  {line['item']}: {line['basis']}")
    for extra in ("note", "interrupted_per_month", "history"):
        if extra in record:
            print(f"  {extra.replace('_', ' ')}: {record[extra]}")
    print(f"  price of {record['price_date']}, from {record['source']}")
    if note := rate_note(into):
        print(f"  {note}")
