from __future__ import annotations

import json

import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing.catalogue import catalogue_from_manifest


def test_catalogue_from_manifest_takes_words_and_grain_of_published_models(tmp_path):
    def node(name, **given):
        return {"name": name, "alias": name, "resource_type": "model", "schema": "published", "columns": {}} | given

    nodes = {
        "model.throughline.customers": node(
            "customers",
            description="One person.\n  Tokens only.\n",
            columns={"person_id": {"name": "person_id", "description": "The person.\n"}, "rfm_cell": {}},
            config={"meta": {"grain": ["person_id"]}},
        ),
        "model.throughline.steps": node("steps", description="", config={"unique_key": ["attempt_id", "stage"]}),
        "model.throughline.days": node("days_v1", alias="days", description="One day.", config={"unique_key": "day"}),
        "model.throughline.events": node("events", schema="timeline", description="One event."),
        "test.throughline.unique": node("unique", resource_type="test"),
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"nodes": nodes}))
    assert catalogue_from_manifest(path) == {
        "customers": {
            "description": "One person. Tokens only.",
            "columns": {"person_id": "The person.", "rfm_cell": ""},
            "grain": ["person_id"],
        },
        "steps": {"description": "", "columns": {}, "grain": ["attempt_id", "stage"]},
        "days": {"description": "One day.", "columns": {}, "grain": ["day"]},
    }


@pytest.mark.parametrize(("content", "told"), [(None, "is missing"), ("{", "not a dbt manifest"), ("[]", "not a dbt")])
def test_catalogue_from_manifest_tells_what_is_wrong(tmp_path, content, told):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ThroughlineError, match=told):
        catalogue_from_manifest(path)
