with
    versions as (select * from {{ source("predictions", "model_versions") }}),

    {%- set figures = [
        "auc",
        "auc_low",
        "auc_high",
        "pr_auc",
        "brier",
        "log_loss",
        "threshold",
        "precision_at_threshold",
        "recall_at_threshold",
        "calibration_slope",
        "calibration_slope_low",
        "calibration_slope_high",
        "calibration_intercept",
        "segment_stability",
        "drift_psi",
    ] %}

    final as (
        select
            model,
            model_version,
            kind,
            target,
            algorithm,
            is_champion,
            decision,
            trained_as_of,
            training_from,
            training_to,
            holdout_from,
            holdout_to,
            row_count,
            positive_count,
            holdout_row_count,
            holdout_positive_count,
            {% for figure in figures %} round({{ figure }}, 6) as {{ figure }}, {% endfor %}
            segment_count,
            drift_feature,
            feature_count,
            data_version,
            artifact_sha256
        from versions
    )

select *
from final
