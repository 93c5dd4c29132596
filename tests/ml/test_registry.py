"""The registry: what is registered comes back the same, and what was changed since is not opened."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import sqlite3
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import skops.io
from matplotlib.figure import Figure
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml import propensity
from ml.registry import BACKGROUND_FILE, MODEL_FILE, TRUSTED, ModelVersion, Registry, RegistryError, digest

AS_OF = datetime(2026, 7, 1, 4, 30)
BACKGROUND = {"features": {"a": {"edges": [0.5], "counts": [3, 4, 0]}}}
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 2))
LABELS = RNG.random(300) < 1 / (1 + np.exp(-ROWS[:, 0]))


def linear() -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]).fit(ROWS, LABELS)


def register(registry: Registry, estimator: object | None = None, **changes: object) -> ModelVersion:
    said = {
        "algorithm": "logistic regression",
        "columns": {"a": "double", "b": "string"},
        "metrics": {"auc": 0.8125, "threshold": 0.1 + 0.2},
        "parameters": {"horizon_days": 14},
        "background": BACKGROUND,
        "figures": {},
        "data_version": "v1",
        "trained_as_of": AS_OF,
    }
    return registry.register("pays", linear() if estimator is None else estimator, **(said | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one champion; making the tables takes seconds, so tests copy it."""
    data = tmp_path_factory.mktemp("registry")
    registry = Registry(data / "mlflow.db", data / "models")
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    registry.promote(register(registry, figures={"calibration": figure}))
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """The registry, moved: its absolute paths point elsewhere."""
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def registry(data: Path) -> Registry:
    return Registry(data / "mlflow.db", data / "models")


def champion(registry: Registry) -> ModelVersion:
    found = registry.champion("pays")
    assert found is not None
    return found


def file_of(data: Path, name: str) -> Path:
    [path] = data.glob(f"models/models/*/artifacts/{name}")
    return path


def sealed_again(data: Path, registry: Registry) -> ModelVersion:
    """The champion, had somebody changed the hash in the database too."""
    contents = [file_of(data, name).read_bytes() for name in (MODEL_FILE, BACKGROUND_FILE)]
    return dataclasses.replace(champion(registry), sha256=digest(*contents))


def test_a_registered_model_comes_back_the_same(registry):
    found = champion(registry)
    assert (found.name, found.version, found.is_champion) == ("pays", "1", True)
    assert (found.algorithm, found.data_version, found.trained_as_of) == ("logistic regression", "v1", AS_OF)
    assert found.columns == {"a": "double", "b": "string"}
    assert list(found.columns) == ["a", "b"]
    assert found.metrics == {"auc": 0.8125, "threshold": 0.1 + 0.2}
    loaded = registry.load(found)
    assert np.array_equal(loaded.estimator.predict_proba(ROWS), linear().predict_proba(ROWS))
    assert loaded.background == BACKGROUND


def test_what_mlflow_shows_is_there_and_names_nobody(data):
    import mlflow

    address = f"sqlite:///{data / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    version = client.get_model_version_by_alias("pays", "champion")
    run = client.get_run(version.run_id)
    assert run.data.params == {"horizon_days": "14"}
    assert run.data.tags["mlflow.user"] == "throughline"
    assert version.tags["data_version"] == "v1"
    signature = (file_of(data, "MLmodel")).read_text()
    assert '"name": "a"' in signature
    assert "serialization_format: skops" in signature
    assert not list(data.glob("models/models/*/artifacts/input_example*"))
    assert len(list(data.glob("models/*/artifacts/calibration.png"))) == 1


def test_one_version_of_a_name_is_the_champion(registry):
    second = register(registry, data_version="v2")
    assert (second.version, second.is_champion) == ("2", False)
    assert champion(registry).version == "1"
    registry.promote(second)
    assert champion(registry).version == "2"
    assert [(one.version, one.is_champion) for one in registry.versions("pays")] == [("1", False), ("2", True)]
    assert registry.champion("other") is None
    assert registry.versions("other") == []


def test_after_a_move_new_versions_go_where_the_others_are(made, data, registry):
    before = sorted(made.rglob("*"))
    second, third = register(registry), register(registry)
    assert [registry.load(one).background for one in (champion(registry), second, third)] == [BACKGROUND] * 3
    assert sorted(made.rglob("*")) == before
    assert len(list(data.glob("models/models/*"))) == 3


def test_nothing_is_made_by_asking(tmp_path):
    registry = Registry(tmp_path / "mlflow.db", tmp_path / "models")
    assert registry.champion("pays") is None
    assert list(tmp_path.iterdir()) == []


def test_every_learner_is_of_trusted_types_and_predicts_the_same():
    """The list is still complete, and holds nothing that runs what a file says."""
    trees = HistGradientBoostingClassifier(max_iter=5).fit(ROWS, LABELS)
    for fitted in (linear(), trees, CalibratedClassifierCV(FrozenEstimator(trees)).fit(ROWS, LABELS)):
        stored = skops.io.dumps(fitted)
        assert set(skops.io.get_untrusted_types(data=stored)) <= set(TRUSTED)
        again = skops.io.loads(stored, trusted=list(TRUSTED))
        assert np.array_equal(again.predict_proba(ROWS), fitted.predict_proba(ROWS))
    assert all(name.startswith(("sklearn.", "ml.", "numpy.dtype")) for name in TRUSTED)


def test_a_whole_propensity_model_survives(registry):
    from tests.ml.test_propensity import PLAIN, crossed, world

    for rows in (world(), crossed()):
        trained = propensity.train(rows, schema=PLAIN, horizon_days=14)
        version = register(registry, trained.pipeline, background=trained.background, metrics=trained.metrics)
        loaded = registry.load(version)
        assert loaded.background == trained.background
        assert np.array_equal(
            propensity.predict(loaded.estimator, rows, schema=PLAIN),
            propensity.predict(trained.pipeline, rows, schema=PLAIN),
        )


def test_a_version_that_is_not_there_is_not_promoted(registry):
    with pytest.raises(RegistryError, match=r"^The model registry .*mlflow\.db cannot do this \(.*not found"):
        registry.promote(dataclasses.replace(champion(registry), version="9"))


def test_a_missing_file_is_said(data, registry):
    file_of(data, MODEL_FILE).unlink()
    with pytest.raises(RegistryError, match=r"^Version 1 of the model pays has no readable file .*model\.skops: run"):
        registry.load(champion(registry))


@pytest.mark.parametrize("name", [MODEL_FILE, BACKGROUND_FILE])
def test_one_changed_byte_anywhere_is_refused(data, registry, name):
    whole = file_of(data, name).read_bytes()
    for place in np.linspace(0, len(whole) - 1, 12).astype(int):
        changed = bytearray(whole)
        changed[place] ^= 1
        file_of(data, name).write_bytes(changed)
        with pytest.raises(RegistryError, match=r"^Version 1 of the model pays is not what was registered, its files"):
            registry.load(champion(registry))
    file_of(data, name).write_bytes(whole)
    registry.load(champion(registry))


class Planted:
    """Leaves a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_planted_pickle_is_not_executed(data, registry, tmp_path):
    mark = tmp_path / "executed"
    planted = pickle.dumps(Planted(mark))
    pickle.loads(planted)
    assert mark.exists()
    mark.unlink()
    file_of(data, MODEL_FILE).write_bytes(planted)
    with pytest.raises(RegistryError, match=r"is not what was registered"):
        registry.load(champion(registry))
    # Even if the hash in the database were the pickle's.
    with pytest.raises(RegistryError, match=r"cannot be read by this release \(BadZipFile\)"):
        registry.load(sealed_again(data, registry))
    assert not mark.exists()


def test_a_pickle_within_the_archive_is_not_executed(data, registry, tmp_path):
    """Skops keeps some things as files in its archive; a schema that asks for a call is refused by its type."""
    mark = tmp_path / "executed"
    stored = skops.io.dumps(Pipeline([("call", FunctionTransformer(mark.touch))]))
    file_of(data, MODEL_FILE).write_bytes(stored)
    with pytest.raises(RegistryError, match=r"holds types that are not trusted, so it was not opened"):
        registry.load(sealed_again(data, registry))
    assert not mark.exists()


def test_a_file_cannot_widen_the_list_of_trusted_types(data, registry):
    """MLflow itself would believe the list in the model's own folder."""
    described = file_of(data, "MLmodel")
    described.write_text(described.read_text().replace("skops_trusted_types:", "skops_trusted_types:\n    - os.system"))
    import os

    file_of(data, MODEL_FILE).write_bytes(skops.io.dumps(FunctionTransformer(os.system)))
    with pytest.raises(RegistryError, match=r"holds types that are not trusted"):
        registry.load(sealed_again(data, registry))


def test_an_archive_without_its_schema_is_said(data, registry):
    with zipfile.ZipFile(file_of(data, MODEL_FILE), "w") as archive:
        archive.writestr("nothing", "")
    with pytest.raises(RegistryError, match=r"cannot be read by this release \(KeyError\)"):
        registry.load(sealed_again(data, registry))


def test_a_source_elsewhere_is_not_followed(data, registry):
    outside = dataclasses.replace(champion(registry), source="models:/../../../etc")
    with pytest.raises(RegistryError, match=r"was not registered here"):
        registry.load(outside)


def test_types_that_are_not_trusted_are_not_registered(registry):
    with pytest.raises(RegistryError, match=r"^The model holds types that are not trusted \(.*print.*\): register"):
        register(registry, Pipeline([("call", FunctionTransformer(print))]))
    assert len(registry.versions("pays")) == 1


def test_a_locked_database_is_said_at_once(data, registry):
    with sqlite3.connect(data / "mlflow.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            RegistryError, match=r"mlflow\.db is in use or cannot be written \(database is locked\): end"
        ):
            registry.champion("pays")
        other.rollback()
    other.close()
    assert champion(registry).version == "1"


def test_a_broken_database_is_said(data, registry):
    (data / "mlflow.db").write_bytes(b"This is not a database." * 1000)
    with pytest.raises(RegistryError, match=r"mlflow\.db is not a readable database: put it back from a backup"):
        registry.champion("pays")


def test_a_background_that_json_cannot_keep_is_an_error_at_once(registry):
    with pytest.raises(ValueError, match="JSON"):
        register(registry, background={"share": float("nan")})
    assert json.loads(json.dumps(BACKGROUND)) == BACKGROUND


def test_nothing_is_written_where_one_stands_or_at_home(made, tmp_path, monkeypatch, capfd):
    """MLflow's default database, its installation id and its chatter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    moved = Path(shutil.copytree(made, tmp_path / "data"))
    registry = Registry(moved / "mlflow.db", moved / "models")
    register(registry)
    registry.load(champion(registry))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    assert capfd.readouterr() == ("", "")
