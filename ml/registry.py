"""The registry of models: MLflow on SQLite, artifacts that are checked before anything in them is read.

Nothing else talks to MLflow. A model is stored by skops, which rebuilds only types it trusts; ours are listed here and
nowhere else, so that no file can widen the list. What a version's files hashed to when they were written is kept in the
database, and files that hash to something else are not opened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sqlite3
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPION = "champion"
# What skops must rebuild beyond what it trusts by itself. Nothing here runs code of a file's choosing.
TRUSTED = (
    "ml.segments.LatentClasses",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
MODEL_FILE, BACKGROUND_FILE = "model.skops", "background.json"
# Who logged what is nobody's name.
_OWN_TAGS = {"mlflow.user": "throughline", "mlflow.source.name": "throughline", "mlflow.source.type": "JOB"}


class RegistryError(RuntimeError):
    """The registry or a file of it cannot be used; the text says what and how to mend it in one sentence."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A registered version of a model.

    Attributes
    ----------
    columns : dict of str to str
        The feature columns in order, and what each holds: ``double``, ``long``, ``boolean`` or ``string``.
    metrics, parameters : dict
        As registered; parameters are texts.
    data_version : str
        What it was trained on.
    trained_as_of : datetime
        What was known then is what it knows.
    sha256 : str
        Of its files, as written.
    """

    name: str
    version: str
    algorithm: str
    columns: dict[str, str]
    metrics: dict[str, float]
    parameters: dict[str, str]
    data_version: str
    trained_as_of: datetime
    is_champion: bool
    sha256: str
    source: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """What ``Registry.load`` gives: the fitted estimator and the background it was registered with."""

    estimator: Any
    background: dict[str, Any]


class Registry:
    """Versions of models, one of each the champion.

    Parameters
    ----------
    database : Path
        SQLite file; made when first needed.
    artifacts : Path
        Folder of the models' files. It may be moved together with the database.
    """

    def __init__(self, database: Path, artifacts: Path) -> None:
        self.database, self.artifacts = database.resolve(), artifacts.resolve()
        self._address = f"sqlite:///{self.database}"

    def register(
        self,
        name: str,
        estimator: Any,
        *,
        algorithm: str,
        columns: Mapping[str, str],
        metrics: Mapping[str, float],
        parameters: Mapping[str, Any],
        background: Mapping[str, Any],
        figures: Mapping[str, Figure],
        data_version: str,
        trained_as_of: datetime,
    ) -> ModelVersion:
        """Log and register a fitted model; it becomes champion only by ``promote``.

        Parameters
        ----------
        name : str
            Of the model.
        estimator : sklearn estimator
            Fitted; of types that are trusted.
        algorithm : str
            In words.
        columns : mapping of str to str
            The feature columns in order, and what each holds: ``double``, ``long``, ``boolean`` or ``string``.
        metrics, parameters : mapping
            Logged.
        background : mapping
            For JSON; stored beside the model and checked like it.
        figures : mapping of str to Figure
            Pictures by file name without its ending.
        data_version : str
            What it was trained on.
        trained_as_of : datetime
            What was known then is what it knows.

        Returns
        -------
        ModelVersion
            The next version of that name.

        Raises
        ------
        RegistryError
            The estimator has types that are not trusted, or the database cannot be used.
        """
        with self._mended():
            from mlflow.entities import Metric, Param

            client, experiment = self._client, self._experiment(name)
            run = client.create_run(experiment, run_name=f"{name} {trained_as_of:%Y-%m-%d}", tags=_OWN_TAGS)
            with tempfile.TemporaryDirectory() as scratch:
                folder = self._write(Path(scratch) / "model", estimator, columns, background)
                sha256 = digest(*((folder / one).read_bytes() for one in (MODEL_FILE, BACKGROUND_FILE)))
                model = client.create_logged_model(
                    experiment, name=name, source_run_id=run.info.run_id, tags=_OWN_TAGS, model_type=algorithm
                )
                client.log_model_artifacts(model.model_id, str(folder))
                client.finalize_logged_model(model.model_id, "READY")
            at = run.info.start_time
            client.log_batch(
                run.info.run_id,
                metrics=[Metric(key, float(value), at, 0, model_id=model.model_id) for key, value in metrics.items()],
                params=[Param(key, str(value)) for key, value in parameters.items()],
            )
            for title, figure in figures.items():
                client.log_figure(run.info.run_id, figure, f"{title}.png")
            client.set_terminated(run.info.run_id)
            if not client.search_registered_models(f"name = '{name}'"):
                client.create_registered_model(name)
            version = client.create_model_version(
                name,
                source=f"models:/{model.model_id}",
                run_id=run.info.run_id,
                model_id=model.model_id,
                tags={
                    "algorithm": algorithm,
                    "columns": json.dumps(dict(columns)),
                    "data_version": data_version,
                    "trained_as_of": trained_as_of.isoformat(),
                    "sha256": sha256,
                },
            )
            return self._described(version, None)

    def champion(self, name: str) -> ModelVersion | None:
        """The version that scores, or None when no version was promoted yet."""
        return next((version for version in self.versions(name) if version.is_champion), None)

    def promote(self, version: ModelVersion) -> None:
        """Make a version the champion.

        Raises
        ------
        RegistryError
            There is no such version.
        """
        with self._mended():
            self._client.set_registered_model_alias(version.name, CHAMPION, version.version)

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, the oldest first; none when the name is not known."""
        if not self.database.exists():
            return []
        with self._mended():
            models = self._client.search_registered_models(f"name = '{name}'")
            if not models:
                return []
            champion = models[0].aliases.get(CHAMPION)
            found = self._client.search_model_versions(f"name = '{name}'", max_results=10_000)
            ordered = sorted(found, key=lambda one: int(one.version))
            return [self._described(version, champion) for version in ordered]

    def load(self, version: ModelVersion) -> LoadedModel:
        """Read a version's model, if its files are those that were registered.

        The files are read once, hashed, and only then opened: skops rebuilds types of our own list alone, never what a
        file says of itself.

        Raises
        ------
        RegistryError
            A file is missing, is not what was registered, or holds a type that is not trusted.
        """
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        called = f"Version {version.version} of the model {version.name}"
        mend = "run the job retrain to train a new one, or put the folder back from a backup"
        folder = self._folder(version)
        try:
            model, background = ((folder / one).read_bytes() for one in (MODEL_FILE, BACKGROUND_FILE))
        except OSError as error:
            raise RegistryError(f"{called} has no readable file {error.filename}: {mend}.") from None
        if digest(model, background) != version.sha256:
            raise RegistryError(f"{called} is not what was registered, its files in {folder} were changed: {mend}.")
        try:
            return LoadedModel(
                estimator=skops.io.loads(model, trusted=list(TRUSTED)), background=json.loads(background)
            )
        except UntrustedTypesFoundException:
            raise RegistryError(f"{called} holds types that are not trusted, so it was not opened: {mend}.") from None
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
            raise RegistryError(f"{called} cannot be read by this release ({type(error).__name__}): {mend}.") from None

    def _folder(self, version: ModelVersion) -> Path:
        """Where the files are below the artifacts folder of today, wherever it was when they were written."""
        found = re.fullmatch(r"models:/(m-[0-9a-f]+)", version.source)
        if not found:
            raise RegistryError(
                f"Version {version.version} of the model {version.name} was not registered here ({version.source}): "
                "run the job retrain to train a new one."
            )
        return self.artifacts / "models" / found[1] / "artifacts"

    def _write(self, folder: Path, estimator: Any, columns: Mapping[str, str], background: Mapping[str, Any]) -> Path:
        import mlflow.sklearn
        import skops.io
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema

        strange = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
        if not set(strange) <= set(TRUSTED):
            raise RegistryError(
                f"The model holds types that are not trusted ({', '.join(sorted(set(strange) - set(TRUSTED)))}): "
                "register scikit-learn's own estimators, or add the type to TRUSTED in ml/registry.py."
            )
        mlflow.sklearn.save_model(
            estimator,
            str(folder),
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED),
            signature=ModelSignature(
                inputs=Schema([ColSpec(DataType[kind], column) for column, kind in columns.items()]),
                outputs=Schema([ColSpec(DataType.double, "probability")]),
            ),
            pip_requirements=["scikit-learn"],
            pyfunc_predict_fn="predict_proba" if hasattr(estimator, "predict_proba") else "predict",
        )
        (folder / BACKGROUND_FILE).write_text(json.dumps(background, allow_nan=False, sort_keys=True))
        return folder

    @cached_property
    def _client(self) -> Any:
        from mlflow import MlflowClient

        self.database.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self._address, registry_uri=self._address)

    def _experiment(self, name: str) -> str:
        """Where runs of a model go; one that remembers another folder, from before a move, is put aside."""
        known = self._client.get_experiment_by_name(name)
        location = self.artifacts.as_uri()
        if known is not None and known.artifact_location == location:
            return str(known.experiment_id)
        if known is not None:
            self._client.rename_experiment(known.experiment_id, f"{name}, before it was moved ({known.experiment_id})")
        return str(self._client.create_experiment(name, artifact_location=location))

    def _described(self, version: Any, champion: str | int | None) -> ModelVersion:
        tags, run = version.tags, self._client.get_run(version.run_id).data
        return ModelVersion(
            name=version.name,
            version=str(version.version),
            algorithm=tags["algorithm"],
            columns=json.loads(tags["columns"]),
            metrics=dict(run.metrics),
            parameters=dict(run.params),
            data_version=tags["data_version"],
            trained_as_of=datetime.fromisoformat(tags["trained_as_of"]),
            is_champion=str(version.version) == str(champion),
            sha256=tags["sha256"],
            source=version.source,
        )

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Turn what MLflow and SQLite raise into one sentence."""
        if self.database.exists():
            self._check_database()
        with _quiet():
            yield from self._translated()

    def _translated(self) -> Iterator[None]:
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        # MLflow's own inner calls go to the global address; its default would be a file where one happens to stand.
        mlflow.set_tracking_uri(self._address)
        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            first = str(error).strip().splitlines()[0][:200].rstrip(". ")
            raise RegistryError(
                f"The model registry {self.database} cannot do this ({first}): "
                "end other programs that use it, or put the file back from a backup."
            ) from error

    def _check_database(self) -> None:
        """Say within a second that the file is locked or no database; MLflow would try for minutes."""
        try:
            connection = sqlite3.connect(self.database, timeout=1)
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            raise RegistryError(
                f"The model registry {self.database} is in use or cannot be written ({error}): "
                "end the program that uses it and run again."
            ) from None
        except sqlite3.DatabaseError:
            raise RegistryError(
                f"The model registry {self.database} is not a readable database: put it back from a backup, or move it "
                "away and run the job retrain to start a new one."
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry, which MLflow decides at its import, no chatter, and no warnings meant for MLflow's authors."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    # MLflow sets its own level at its import, to this.
    os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
    logging.getLogger("alembic").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def digest(*contents: bytes) -> str:
    """One hash of several files' contents, in the order of MODEL_FILE, BACKGROUND_FILE."""
    return hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()
