"""The definitions of journeys, judged by what the data show."""

import dagster as dg

from dagster_project.defs.night import POOL, Warehouse
from dagster_project.journeys import note_definitions, read_definitions, tell_sights
from dagster_project.warehouse import open_warehouse

DEFINITIONS = dg.AssetKey(["journeys", "definitions"])
_SOUND = "definitions_are_sound"


@dg.asset(
    key=DEFINITIONS,
    group_name="journeys",
    deps=[
        ["journeys", "attempts"],
        ["journeys", "attempt_stages"],
        ["timeline", "customer_events"],
        ["staging", "journeys"],
        ["staging", "journey_stages"],
        ["staging", "event_taxonomy"],
    ],
    description="One journey as defined, with its attempts and what is wrong with the definition. Feeds "
    "`journey_definitions`.",
    kinds={"python", "duckdb"},
    pool=POOL,
    check_specs=[
        dg.AssetCheckSpec(
            _SOUND,
            asset=DEFINITIONS,
            description="No definition of a journey is wrong in itself: its events are known, its window is not zero, "
            "its stages are in order, each with events of its own. What only the data lack is in the metadata.",
        )
    ],
)
def definitions(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
    """Judge the definitions and write them down."""
    defined = read_definitions()
    with open_warehouse(warehouse.settings) as connection:
        faults, sights = note_definitions(connection, defined)
    wrong = [fault.sentence for fault in faults if fault.is_certain]
    return dg.MaterializeResult(
        metadata={
            "rows": len({row["journey"] for row in defined.journeys}),
            "problems": dg.MetadataValue.md(_as_list([fault.sentence for fault in faults]) or "None."),
            "events": dg.MetadataValue.md(
                f"Events of people who are known, and in all:\n\n{_as_list(tell_sights(sights))}"
                if sights
                else "No journey is defined."
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=_SOUND,
                passed=not wrong,
                severity=dg.AssetCheckSeverity.WARN,
                description=" ".join(wrong) or None,
            )
        ],
    )


def _as_list(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
