"""`slm recipe`: check, plan, run and watch recipes."""

from __future__ import annotations

import json
import sys

import typer

from toolkit.cli.recipe_again import AGAIN, WithAgain, measured_again
from toolkit.cli.recipe_options import (
    ExecutorFlag,
    JobsFlag,
    JsonFlag,
    LimitFlag,
    ShareFlag,
    WorkspaceFlag,
    executor_of,
    phones_of,
    recipe_file,
    workspace_of,
)
from toolkit.settings import Settings

app = typer.Typer(
    help="Many conversions and profile runs from one YAML file.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_RECIPE = typer.Argument(
    help="Recipe file, or the name of one that comes with the toolkit or was run before.",
    metavar="RECIPE",
    show_default=False,
)


@app.command("list")
def list_recipes(as_json: JsonFlag = False) -> None:
    """List the recipes that come with the toolkit.

    \b
    Examples:
      slm recipe list
    """  # noqa: D301
    from toolkit.cli.recipe_text import shipped_recipes
    from toolkit.cli.tables import line_width, print_folded

    found = [{"path": str(path), "about": about} for path, about in shipped_recipes()]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for one in found:
        print(one["path"])
        print_folded(f"    {one['about']}", width=line_width(), indent="    ")


@app.command()
def schema() -> None:
    """Print the JSON Schema of recipes, for editors.

    \b
    Examples:
      slm recipe schema > slm-recipe.schema.json
      # then, as a recipe's first line:
      # yaml-language-server: $schema=slm-recipe.schema.json
    """  # noqa: D301
    from toolkit.recipes.schema import json_schema
    from toolkit.recipes.step_kinds import recipe_type

    print(json.dumps(json_schema(recipe_type()), indent=2))


@app.command()
def validate(
    recipes: list[str] = typer.Argument(help="Recipe files or names.", metavar="RECIPE", show_default=False),
    workspace: WorkspaceFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Check recipes; every problem is reported, with line and column. Exit code 11 when there is one.

    \b
    Examples:
      slm recipe validate recipes/smoke/tiny.yaml
      slm recipe validate recipes/*/*.yaml --json
    """  # noqa: D301
    from toolkit.errors import RecipeError
    from toolkit.recipes.problems import InvalidRecipe
    from toolkit.recipes.validation import load_recipe

    answers = []
    settings = Settings.from_environment()
    place = workspace_of(workspace, settings)
    for path in [recipe_file(one, place) for one in recipes]:
        try:
            load_recipe(path, settings.models_dir)
        except InvalidRecipe as error:
            answers.append({"recipe": str(path), "problems": [vars(problem) for problem in error.problems]})
            if not as_json:
                print(f"error: {error}", file=sys.stderr)
        else:
            answers.append({"recipe": str(path), "problems": []})
            if not as_json:
                print(f"{path}: ok")
    if as_json:
        print(json.dumps(answers, indent=2))
    if any(answer["problems"] for answer in answers):
        raise typer.Exit(RecipeError.exit_code)


@app.command(cls=WithAgain)
def plan(
    recipe: str = _RECIPE,
    executor: ExecutorFlag = "local",
    again: str | None = AGAIN,
    workspace: WorkspaceFlag = None,
    share: ShareFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Show every step: what is done, what the others will take.

    Estimates come from earlier steps of this workspace where there are any, and are rough guesses elsewhere.
    Packages and data that steps need and this machine lacks are named at the end; `run` refuses to begin.
    With --executor of a running cluster, phones are those of its hosts.

    \b
    Examples:
      slm recipe plan recipes/smoke/tiny.yaml
      slm recipe plan recipes/smoke/tiny.yaml --json | jq '.steps[] | select(.state != "done") | .title'
    """  # noqa: D301
    from toolkit.cli.recipe_text import plan_data, print_plan
    from toolkit.recipes.lacking import lacking
    from toolkit.recipes.plan import make_plan
    from toolkit.recipes.validation import load_recipe

    settings = Settings.from_environment()
    place = workspace_of(workspace, settings, share)
    loaded = load_recipe(recipe_file(recipe, place), settings.models_dir)
    made = make_plan(loaded, place, settings, phones=phones_of(executor), again=measured_again(again))
    # Other hosts have, or lack, other things.
    missing = lacking(made, settings) if executor == "local" else ()
    if as_json:
        print(json.dumps(plan_data(made, place, missing), indent=2))
    else:
        print_plan(made, place, missing)


@app.command(cls=WithAgain)
def run(
    recipe: str = _RECIPE,
    executor: ExecutorFlag = "local",
    jobs: JobsFlag = None,
    only: list[str] = typer.Option(
        [], "--only", help="Steps with this kind, or with this text in their title; may be repeated."
    ),
    limit: LimitFlag = None,
    keep_going: bool = typer.Option(False, "--keep-going", "-k", help="Go on after a failed step."),
    again: str | None = AGAIN,
    refetch: bool = typer.Option(False, "--refetch", help="Take hub models as they are today."),
    workspace: WorkspaceFlag = None,
    share: ShareFlag = None,
    as_json: JsonFlag = False,
) -> None:
    """Run what is not done yet of a recipe. Run again after an interruption: it goes on where it was.

    What was measured counts as done for ever, or as long as the recipe's schedule says; --again measures
    anew. Its runs carry the recipe, the batch that is named at the end, and the recipe's tags.

    Exit codes: 0 everything is done, 11 the recipe is wrong, 12 steps failed or another process runs it,
    130 interrupted; others as for every command.

    \b
    Examples:
      slm recipe run recipes/smoke/tiny.yaml
      slm recipe run recipes/smollm2/two-backends.yaml --only convert
      slm recipe run sweep.yaml --keep-going --jobs 8
      slm recipe run nightly.yaml --again profile
      slm recipe run sweep.yaml --executor ray://lab-server:10001
      slm recipe run sweep.yaml --executor ray --share s3://lab-bucket/artifacts
    """  # noqa: D301
    from toolkit.cli.recipe_text import Narrator, print_summary, summary_data
    from toolkit.recipes.batch import Choice
    from toolkit.recipes.execution import run_recipe
    from toolkit.recipes.status import batch_status
    from toolkit.recipes.validation import load_recipe

    settings = Settings.from_environment()
    place = workspace_of(workspace, settings, share)
    loaded = load_recipe(recipe_file(recipe, place), settings.models_dir)
    open_executor = executor_of(executor, jobs, place, settings)
    choice = Choice(only=tuple(only), limit=limit, keep_going=keep_going)
    narrator = Narrator(place)
    try:
        summary = run_recipe(
            loaded,
            place,
            settings,
            open_executor,
            choice=choice,
            listener=narrator,
            refetch=refetch,
            again=measured_again(again),
            phones=phones_of(executor),
        )
    except KeyboardInterrupt:
        narrator.interrupted()
        raise
    status = batch_status(loaded.recipe.name, place)
    if as_json:
        print(json.dumps(summary_data(summary, status), indent=2))
    else:
        print_summary(summary, status, place)
    if summary.exit_code:
        raise typer.Exit(summary.exit_code)


@app.command()
def status(
    recipe: str = typer.Argument(help="A recipe's file or name.", metavar="RECIPE", show_default=False),
    workspace: WorkspaceFlag = None,
    junit: bool = typer.Option(False, "--junit", help="Print JUnit's XML, for CI: a case per step."),
    as_json: JsonFlag = False,
) -> None:
    """Show how far a running batch is, or how a finished one ended.

    JSON has each step's state, run id, log, and what it made. Exit code 12 when steps have failed.

    \b
    Examples:
      slm recipe status recipes/smoke/tiny.yaml
      slm recipe status nightly --junit > nightly.xml
      watch slm recipe status tiny-smoke
    """  # noqa: D301
    from toolkit.cli.recipe_text import print_junit, print_status
    from toolkit.errors import StepsFailed
    from toolkit.recipes.status import batch_status
    from toolkit.recipes.validation import load_recipe

    settings = Settings.from_environment()
    place = workspace_of(workspace, settings)
    known = recipe in place.batch_names()
    name = recipe if known else load_recipe(recipe_file(recipe, place), settings.models_dir).recipe.name
    found = batch_status(name, place)
    if as_json:
        print(found.model_dump_json(indent=2))
    elif junit:
        print_junit(found)
    else:
        print_status(found, running=place.is_running(name))
    if found.count("failed"):
        raise typer.Exit(StepsFailed.exit_code)


@app.command()
def resources() -> None:
    """Print this host's devices as Ray resources. For a node of a lab's cluster.

    Phones are named by their hardware's serial number, virtual phones that run by their number.

    \b
    Examples:
      ray start --head --resources="$(slm recipe resources)"
      ray start --address=lab-server:6379 --resources="$(slm recipe resources)"
    """  # noqa: D301
    from toolkit.recipes.executors.cluster_devices import devices_here, node_resources

    print(json.dumps(node_resources(devices_here(Settings.from_environment()))))
