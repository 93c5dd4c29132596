# ruff: noqa: E402, F401
"""What a night imports, for `tests.children` to fork from; nothing here runs anything."""

import os

from dagster_project.instance import prepare_environment

# As the modules that import them do; too late afterwards.
prepare_environment()
os.environ |= {"GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}

import dbt.cli.main
import great_expectations.expectations
import matplotlib.backends.backend_agg
import mlflow.sklearn
import pandas
import pytest
import sklearn.ensemble
import skops.io

import dagster_project.cli
import dagster_project.definitions
import dagster_project.running
