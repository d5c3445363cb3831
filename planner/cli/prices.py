"""`planner prices show|refresh|list|use`: the price book itself, and newer prices for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner import terminal
from planner.cli.price.shared import AsJson, PricesFolder, check_region, open_book

if TYPE_CHECKING:
    from planner.prices import PriceBook

DEFAULT_FOLDER = Path("prices")
SHOWN_CHANGES = 20

Folder = Annotated[
    Path, typer.Option("--prices", envvar="ECS_PLANNER_PRICES", help="Folder that keeps the snapshots")
]


def register(app: typer.Typer) -> None:
    prices = typer.Typer(help="The price book: what it holds, and how to renew it.", no_args_is_help=True)
    app.add_typer(prices, name="prices")
    _register_show(prices)
    _register_refresh(prices)
    _register_snapshots(prices)


def _register_show(prices: typer.Typer) -> None:
    @prices.command()
    def show(
        region: Annotated[str | None, typer.Option("--region", help="Items of one AWS Region")] = None,
        folder: PricesFolder = None,
        as_json: AsJson = False,
    ) -> None:
        """Tables, dates and sources; with --region every item that has a price there."""
        book = open_book(folder)
        record = _overview(book)
        if region is not None:
            check_region(book, region)
            record |= _region_overview(book, region)
        if as_json:
            terminal.print_json(record)
            return
        print(
            f"Price book {record['snapshot']}, as of {record['date']} ({record['age_days']} days ago), sha256"
            f" {record['sha256'][:12]}"
        )
        for name, count in record["rows"].items():
            print(f"  {count:>7,}  {name}")
        if region is None:
            print(f"Regions: {', '.join(record['regions'])}")
            return
        print(f"{region}: on-demand prices as of {record['region_date']}")
        for name, price in record["items"].items():
            print(f"  {name:<36} {price['usd']:>10g} USD per {price['unit']:<24} {price['price_date']}")


def _overview(book: PriceBook) -> dict[str, Any]:
    from datetime import UTC, datetime

    from planner.prices.quotes import age_days, book_record
    from planner.prices.tables import PRICE_TABLES

    rows = {table.name: len(book.rows[table.name]) for table in PRICE_TABLES}
    age = age_days(book.date, datetime.now(UTC).date())
    return book_record(book) | {"rows": rows, "regions": list(book.regions), "age_days": age}


def _region_overview(book: PriceBook, region: str) -> dict[str, Any]:
    from planner.prices.quotes import price_record

    types = sum(1 for key in book.rows["ec2_on_demand"] if key[0] == region)
    return {
        "region": region,
        "region_date": book.region_date(region),
        "instance_types": types,
        "items": {name: price_record(price) for name, price in book.items(region).items()},
    }


def _register_refresh(prices: typer.Typer) -> None:
    @prices.command()
    def refresh(
        region: Annotated[list[str], typer.Option("--region", help="AWS Region; repeat for more")],
        folder: Folder = DEFAULT_FOLDER,
        azure_region: Annotated[str | None, typer.Option(help="Also Azure VM prices, e.g. uksouth")] = None,
        bulk: Annotated[bool, typer.Option(help="EC2 from the bulk file instead of GetProducts")] = False,
        spot_days: Annotated[int, typer.Option(min=1, max=90, help="Days of Spot history")] = 7,
        spot_type: Annotated[
            list[str] | None, typer.Option(help="Spot history of these types only; repeat for more")
        ] = None,
        profile: Annotated[str | None, typer.Option(help="AWS profile")] = None,
        endpoint_url: Annotated[str | None, typer.Option(help="Another AWS endpoint, e.g. a proxy")] = None,
        azure_endpoint: Annotated[str | None, typer.Option(help="Another Azure prices endpoint")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Read prices anew, keep the old ones, and show what changed. Exit 1 where a part failed."""
        from datetime import UTC, datetime

        from planner.aws.clients import connect
        from planner.aws.price_sources import AZURE_ENDPOINT, Readers, fetch
        from planner.aws.prices import parts
        from planner.aws.prices import refresh as read_all
        from planner.prices import BrokenPriceFile, load
        from planner.prices.snapshots import changes, current, save

        held = _held(folder)
        for name in region:
            check_region(held, name)
        clients: dict[str, Any] = {}

        def client_of(service: str, where: str) -> Any:
            if where not in clients:
                clients[where] = connect(region=where, profile=profile, endpoint_url=endpoint_url)
            return clients[where].get(service)

        now = datetime.now(UTC)
        readers = Readers(client_of, fetch, azure_endpoint or AZURE_ENDPOINT)
        named = [
            (f"{part} of {name}", read)
            for position, name in enumerate(region)
            for part, read in parts(
                readers, name, now, bulk=bulk, spot_days=spot_days, spot_types=spot_type or (),
                azure_region=azure_region if position == 0 else None,
            )
        ]  # fmt: skip
        with terminal.progress("Reading prices", total=len(named)) as advance:
            read = read_all(named, held, advance)
        if not read.contents:
            reasons = "; ".join(sorted({r.reason for r in read.failed}))
            raise terminal.Refusal(f"No price was read, the old ones stay in force: {reasons}.")
        try:
            snapshot = save(folder, read.contents, now, current(folder))
        except BrokenPriceFile as error:
            raise terminal.Refusal(f"{error}; the old prices stay in force.") from error
        differences = changes(held, load(snapshot))
        _report(snapshot, read.failed, differences, as_json)
        if read.failed:
            raise typer.Exit(terminal.EXIT_REFUSED)


def _held(folder: Path) -> PriceBook:
    from planner.prices.snapshots import names

    return open_book(folder if names(folder) else None)


def _report(snapshot: Path, failed: Any, differences: Any, as_json: bool) -> None:
    record = {
        "snapshot": str(snapshot),
        "changes": [
            {
                "table": c.table, "key": list(c.key), "before_usd": c.before, "after_usd": c.after,
                "change_per_before": c.change_per_before,
            }
            for c in differences
        ],
        "failed": [{"part": r.what, "reason": r.reason} for r in failed],
    }  # fmt: skip
    if as_json:
        terminal.print_json(record)
        return
    print(f"New prices in {snapshot}; use them with --prices {snapshot.parent} (or ECS_PLANNER_PRICES).")
    moved = [c for c in differences if c.before is not None and c.after is not None]
    added = sum(1 for c in differences if c.before is None)
    gone = sum(1 for c in differences if c.after is None)
    print(f"{len(moved)} prices changed, {added} are new, {gone} are gone.")
    moved.sort(key=lambda c: -abs(c.change_per_before or 0))
    for change in moved[:SHOWN_CHANGES]:
        print(
            f"  {' '.join(change.key):<50} {change.before:g} -> {change.after:g} ({change.change_per_before:+.1%})"
        )
    for rejection in failed:
        print(f"Not read: {rejection.what}: {rejection.reason}. The old prices stay in force for it.")


def _register_snapshots(prices: typer.Typer) -> None:
    @prices.command("list")
    def list_snapshots(folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
        """Snapshots that were kept, the one in force marked."""
        from planner.prices.snapshots import current, names

        active = current(folder)
        record = [
            {"snapshot": name, "current": active is not None and name == active.name} for name in names(folder)
        ]
        if as_json:
            terminal.print_json({"folder": str(folder), "snapshots": record})
            return
        for entry in record:
            print(f"{'*' if entry['current'] else ' '} {entry['snapshot']}")
        if not record:
            print(f"No snapshots in {folder}; the embedded prices are in force.")

    @prices.command()
    def use(
        snapshot: Annotated[str, typer.Argument(help="A name of `planner prices list`")],
        folder: Folder = DEFAULT_FOLDER,
        as_json: AsJson = False,
    ) -> None:
        """Put an older snapshot back in force."""
        from planner.prices import BrokenPriceFile
        from planner.prices.snapshots import names
        from planner.prices.snapshots import use as make_current

        if snapshot not in names(folder):
            raise terminal.BadInput(f"{folder} has no snapshot {snapshot}: see `planner prices list`.")
        try:
            make_current(folder, snapshot)
        except BrokenPriceFile as error:
            raise terminal.BadInput(f"{error}: choose another snapshot.") from error
        if as_json:
            terminal.print_json({"folder": str(folder), "current": snapshot})
        else:
            print(f"{snapshot} is in force.")
