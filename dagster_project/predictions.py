"""Tables of place ``predictions``, which Python writes and `published` reads; always there, empty if need be."""

from __future__ import annotations

import duckdb

TABLES = {
    "scores": """
        person_id varchar, target varchar, probability double, decile integer, reason_1 varchar, reason_2 varchar,
        reason_3 varchar, model_version varchar, snapshot_date date
    """,
    "segments": "segment varchar, name varchar, description varchar, model_version varchar",
    "segment_history": "person_id varchar, segment varchar, valid_from date, valid_to date",
    "model_versions": """
        model varchar, model_version varchar, kind varchar, target varchar, algorithm varchar, is_champion boolean,
        decision varchar, trained_as_of timestamp, training_from date, training_to date, holdout_from date,
        holdout_to date, row_count bigint, positive_count bigint, holdout_row_count bigint,
        holdout_positive_count bigint, auc double, auc_low double, auc_high double, pr_auc double, brier double,
        log_loss double, threshold double, precision_at_threshold double, recall_at_threshold double,
        calibration_slope double, calibration_slope_low double, calibration_slope_high double,
        calibration_intercept double, segment_count integer, segment_stability double, drift_psi double,
        drift_feature varchar, feature_count integer, data_version varchar, artifact_sha256 varchar
    """,
    "model_diagnostics": """
        model varchar, model_version varchar, measure varchar, bucket varchar, bucket_order integer, expected double,
        observed double, low double, high double, row_count bigint
    """,
}


def prepare_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that are not there yet.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    """
    for table, columns in TABLES.items():
        connection.execute(f"create table if not exists predictions.{table} ({columns})")
