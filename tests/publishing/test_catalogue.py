from __future__ import annotations

import json

import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing.catalogue import catalogue_from_manifest, uses_from_manifest


def test_catalogue_from_manifest_takes_words_and_grain_of_published_models(tmp_path):
    def node(name, **given):
        return {"name": name, "alias": name, "resource_type": "model", "schema": "published", "columns": {}} | given

    nodes = {
        "model.throughline.customers": node(
            "customers",
            description="One person.\n  Tokens only.\n",
            columns={"person_id": {"name": "person_id", "description": "The person.\n"}, "rfm_cell": {}},
            config={
                "meta": {
                    "grain": ["person_id"],
                    "examples": [{"question": "How\n many?", "sql": "select count(*)\nfrom customers\n"}],
                }
            },
        ),
        "model.throughline.steps": node("steps", description="", config={"unique_key": ["attempt_id", "stage"]}),
        "model.throughline.days": node("days_v1", alias="days", description="One day.", config={"unique_key": "day"}),
        "model.throughline.events": node("events", schema="timeline", description="One event."),
        "model.throughline.way": node("way", description="A step.", config={"materialized": "view"}),
        "test.throughline.unique": node("unique", resource_type="test"),
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"nodes": nodes}))
    assert catalogue_from_manifest(path) == {
        "customers": {
            "description": "One person. Tokens only.",
            "columns": {"person_id": "The person.", "rfm_cell": ""},
            "grain": ["person_id"],
            "examples": [{"question": "How many?", "sql": "select count(*)\nfrom customers"}],
        },
        "steps": {"description": "", "columns": {}, "grain": ["attempt_id", "stage"]},
        "days": {"description": "One day.", "columns": {}, "grain": ["day"]},
    }


def test_uses_from_manifest_names_tables_as_they_are_published_and_the_most_mature_first(tmp_path):
    def node(name, schema, **given):
        return {"name": name, "resource_type": "model", "schema": schema} | given

    def exposure(name, **given):
        return {"name": name, "type": "dashboard", "owner": {"name": "Product", "email": None}} | given

    nodes = {
        "model.b": node("published_stages", "published", alias="stages"),
        "model.a": node("attempts", "published"),
        "model.c": node("events", "timeline"),
    }
    exposures = {
        "exposure.x": exposure("what_if", depends_on={"nodes": ["model.c"]}, owner={"email": "a@example.com"}),
        "exposure.y": exposure(
            "funnels",
            label="Funnels",
            maturity="high",
            description="Where people\n stop.\n",
            depends_on={"nodes": ["model.b", "source.s", "model.a"]},
        ),
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"nodes": nodes, "exposures": exposures}))
    funnels, what_if = uses_from_manifest(path)
    assert funnels == {
        "name": "funnels",
        "title": "Funnels",
        "kind": "dashboard",
        "owner": "Product",
        "maturity": "high",
        "description": "Where people stop.",
        "tables": ["attempts", "stages"],
    }
    assert (what_if["title"], what_if["owner"], what_if["tables"]) == ("What if", "a@example.com", [])


@pytest.mark.parametrize(("content", "told"), [(None, "is missing"), ("{", "not a dbt manifest"), ("[]", "not a dbt")])
def test_catalogue_from_manifest_tells_what_is_wrong(tmp_path, content, told):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ThroughlineError, match=told):
        catalogue_from_manifest(path)
