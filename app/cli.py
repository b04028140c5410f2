"""The command line: ``tplusone demo | serve | data | run | settings``."""

import inspect
import json
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console
from rich.table import Column, Table

from app.settings import Settings, at_most_cores
from engine.data.options import LoadOptions, parse_options

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Backtests that can be trusted."
)
data_app = typer.Typer(no_args_is_help=True, help="Import, list and check datasets.")
app.add_typer(data_app, name="data")
console = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)

DataFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a file of market data")]
DataOption = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="a file of market data")]
DataDirOption = Annotated[Path | None, typer.Option(help="directory of everything the service keeps")]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of ``LoadOptions``, in place of its parameter ``options``."""
    signature = inspect.signature(command, eval_str=True)
    own = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in signature.parameters.values() if p.name != "options"]
    said = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[field.annotation, typer.Option(help=field.description)],
        )
        for name, field in LoadOptions.model_fields.items()
    ]

    @wraps(command)
    def called(**given: Any) -> None:
        options = parse_options({name: given.pop(name) for name in LoadOptions.model_fields})
        command(**given, options=options)

    called.__signature__ = signature.replace(parameters=[*own, *said])  # type: ignore[attr-defined]
    return called


def main() -> None:
    """Run the command line; what it refuses ends in one sentence and exit code 2."""
    try:
        app()
    except Exception as error:
        if not _is_refusal(error):
            raise
        errors.print(f"error: {_sentence(error)}", markup=False, highlight=False)
        raise SystemExit(2) from None


def _is_refusal(error: Exception) -> bool:
    """Whether an error is one the user can do something about."""
    from app.errors import ServiceError
    from app.main import DataDirectoryInUseError
    from engine.errors import EngineError

    known = (EngineError, ServiceError, ValidationError, DataDirectoryInUseError, CommandError, OSError)
    return isinstance(error, known)


class CommandError(Exception):
    """The command cannot be carried out."""


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(_setting_sentence(item) for item in error.errors())
    return str(error)


def _setting_sentence(item: ErrorDetails) -> str:
    name = "".join(f"TPLUSONE_{str(part).upper()}: " for part in item["loc"])
    return name + str(item["msg"]).removeprefix("Value error, ")


def _settings(**given: Any) -> Settings:
    return Settings(**{name: value for name, value in given.items() if value is not None})


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port; 0 takes a free one")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Serve the HTTP API until a signal."""
    from app.server import serve as run_server

    if not run_server(_settings(host=host, port=port, data_dir=data_dir)):
        raise typer.Exit(1)


@app.command()
def settings() -> None:
    """List every setting with its environment variable, value and meaning."""
    table = Table(Column("variable", no_wrap=True), "value", "default", "meaning")
    now = Settings()
    for name, field in Settings.model_fields.items():
        variable = f"TPLUSONE_{name.upper()}"
        table.add_row(variable, str(getattr(now, name)), str(field.default), field.description)
    console.print(table)


@data_app.command("import")
@with_options
def import_data(
    name: Annotated[str, typer.Argument(help="name of the dataset")],
    file: DataFile,
    options: LoadOptions,
    data_dir: DataDirOption = None,
) -> None:
    """Import a file into the data directory, whole or not at all; a running server sees it at once."""
    from app.local import import_file

    version, added = import_file(_settings(data_dir=data_dir), name, file, options)
    state = "imported" if added else "holds this content already"
    console.print(f"{name}: {state}, version {version.number}, {version.rows:,} rows, {', '.join(version.symbols)}")
    _print_report(version.report)


@data_app.command("list")
def list_data(data_dir: DataDirOption = None) -> None:
    """List the datasets of the data directory."""
    from app.datasets.listing import list_datasets

    found = list_datasets(_settings(data_dir=data_dir))
    if found is None:
        from app.local import list_migrated

        found = list_migrated(_settings(data_dir=data_dir))
    table = Table("dataset", "version", "timeframe", "calendar", "rows", "symbols")
    for version in found:
        conventions = version.conventions
        row = (version.dataset, str(version.number), conventions["timeframe"], conventions["calendar"])
        table.add_row(*row, f"{version.rows:,}", ", ".join(version.symbols))
    console.print(table)


@data_app.command("check")
@with_options
def check_data(file: DataFile, options: LoadOptions) -> None:
    """Read and check a file, and keep nothing. Exit code 2 when it would be refused."""
    from app.local import load_file
    from engine.errors import DataError

    try:
        report = load_file(file, file.stem, options).report
    except DataError as error:
        if "report" in error.details:
            _print_report(error.details["report"])
        raise
    _print_report(report)


@app.command()
@with_options
def run(
    config: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a configuration, JSON or YAML")],
    options: LoadOptions,
    data: DataOption = None,
    out: Annotated[Path | None, typer.Option(help="directory for the artifacts; default is the run's id")] = None,
    symbols: Annotated[str | None, typer.Option(help="symbols in place of the configuration's, between commas")] = None,
    mode: Annotated[
        Literal["independent", "portfolio"] | None, typer.Option(help="an account for each symbol, or one for all")
    ] = None,
    snapshot_interval: Annotated[int | None, typer.Option(min=1, help="bars between snapshots of a portfolio")] = None,
    correlation_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="above it two symbols are redundant")
    ] = None,
    data_frac: Annotated[float | None, typer.Option(help="size of the slice of the period, up to 1")] = None,
    portion: Annotated[int | None, typer.Option(min=1, help="which slice, from 1")] = None,
    max_workers: Annotated[int, typer.Option(min=1, help="threads for independent accounts and for replicates")] = 1,
    profile: Annotated[bool, typer.Option("--profile", help="leave profile.json: where the time went")] = False,
    benchmark_out: Annotated[Path | None, typer.Option(help="a copy of benchmark.json")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Run a configuration without a server; the artifacts have the bytes the server would give them."""
    from app.local import Wishes, run_config

    _check_effect(data, options)
    values = _read_config(config)
    if isinstance(values, dict):
        _change(values, {"fraction": data_frac, "portion": portion})
        _change(values, {"symbols": None if symbols is None else [s.strip() for s in symbols.split(",")]})
        given = {"mode": mode, "snapshot_interval": snapshot_interval, "correlation_threshold": correlation_threshold}
        portfolio = values.get("portfolio") or {}
        if isinstance(portfolio, dict) and any(value is not None for value in given.values()):
            _change(portfolio, given)
            values["portfolio"] = portfolio
        _ask_for_slice(values)
    workers = at_most_cores(max_workers, lambda text: errors.print(f"warning: {text}", markup=False))
    wishes = Wishes(out, workers, profile, benchmark_out)
    ran = run_config(_settings(data_dir=data_dir), values, data, options, wishes)
    summary = ran.result.summary()
    _print_metrics(summary["metrics"], summary["warnings"])
    console.print(f"run {ran.result.run_id}\nartifacts in {ran.directory}", highlight=False)
    for path in ran.reports:
        console.print(f"report {path}", highlight=False)


def _change(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Put in what was given on the command line."""
    values.update({name: value for name, value in given.items() if value is not None})


def _ask_for_slice(values: dict[str, Any]) -> None:
    """Ask for the slice of the data on a terminal, where nobody has said it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or "fraction" in values:
        return
    values["fraction"] = typer.prompt("fraction of the data", default=1.0, type=float)
    if values["fraction"] < 1.0 and "portion" not in values:
        values["portion"] = typer.prompt("portion, from 1", default=1, type=int)


@app.command()
@with_options
def demo(
    options: LoadOptions,
    data: DataOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the service running")] = False,
    port: Annotated[int, typer.Option(help="port; 0 takes a free one")] = 0,
    data_dir: DataDirOption = None,
) -> None:
    """Start the service, run a backtest through its API, and show what came of it."""
    from app.demo import run_demo

    _check_effect(data, options)
    outcome = run_demo(console, _settings(data_dir=data_dir, port=port), data, options, keep=keep)
    _print_metrics(outcome.run["metrics"], outcome.run["warnings"])
    for line in outcome.lines:
        console.print(line, highlight=False)


def _check_effect(data: Path | None, options: LoadOptions) -> None:
    """Nothing is silently ignored: options about a file need a file."""
    given = [f"--{name.replace('_', '-')}" for name in options.model_dump(exclude_defaults=True)]
    if data is None and given:
        raise CommandError(f"{', '.join(given)} say something about a file and have no effect without --data")


def _read_config(path: Path) -> Any:
    """Plain values of a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise CommandError(f"{path} is not valid {path.suffix.lstrip('.') or 'YAML'}: {error}") from None


def _print_metrics(metrics: dict[str, float | None], warnings: list[dict[str, str]]) -> None:
    table = Table("metric", "value")
    for name, value in metrics.items():
        table.add_row(name, "undefined" if value is None else f"{value:,.6g}")
    console.print(table)
    for warning in warnings:
        console.print(f"[yellow]{warning['code']}[/yellow] {warning['message']}", highlight=False)


def _print_report(report: Any) -> None:
    for assumed in report.get("assumed", []):
        console.print(f"assumed {assumed['field']} {assumed['value']}: {assumed['reason']}", markup=False)
    for symbol, found in report.get("symbols", {}).items():
        console.print(f"{symbol}: {found['rows']:,} rows, {found['start']} to {found['end']}", highlight=False)
        for finding in found["findings"]:
            console.print(
                f"  {finding['action']} {finding['code']} in {finding['count']} row(s): {finding['message']}",
                markup=False,
            )


if __name__ == "__main__":
    main()
