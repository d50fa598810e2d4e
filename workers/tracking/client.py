"""Part of amlflow: has metrics that are logged with MLflow's file store known while the job runs, and tells what to do about models that are elsewhere.

It is found by the client itself, as a plugin for the scheme "file", and does what the file store does. Whatever goes wrong
here is no harm: what was logged is in the store, and is read from there when the job has ended.
"""

import json
import os


def store(store_uri=None, artifact_uri=None, **more):
    from mlflow.store.tracking.file_store import FileStore

    class Told(FileStore):
        def log_metric(self, run_id, metric):
            super().log_metric(run_id, metric)
            self._amlflow_tell(run_id, [metric])

        def log_batch(self, run_id, metrics, params, tags):
            super().log_batch(run_id, metrics, params, tags)
            self._amlflow_tell(run_id, metrics)

        def _amlflow_tell(self, run_id, metrics):
            """A line for each: they go where the job could write them itself."""
            try:
                known = self.__dict__.setdefault("_amlflow_nested", {})
                if run_id not in known:
                    known[run_id] = "mlflow.parentRunId" in self.get_run(run_id).data.tags
                if known[run_id]:
                    return  # it is a part of another run
                text = ""
                for m in metrics:
                    if m.key not in ("step", "mlflow"):
                        row = {m.key: float(m.value), "step": m.step or 0, "mlflow": {"run": run_id, "time": m.timestamp}}
                        text += json.dumps(row, separators=(",", ":")) + "\n"
                if text:
                    with open(os.environ["AMLFLOW_METRICS"], "ab", 0) as file:
                        file.write(text.encode())
            except Exception:
                pass

    return Told(store_uri, artifact_uri)


ELSEWHERE = (
    " This job runs on another machine, and finds the models there that it has registered itself. One of another stage or run is an input of"
    " its stage: write `inputs: {{ model: {name}@VERSION }}`, and load os.environ['AMLFLOW_INPUT_MODEL']."
)


def registry(store_uri=None, **more):
    from mlflow.exceptions import MlflowException
    from mlflow.store.model_registry.file_store import FileStore

    class Told(FileStore):
        """Says what to do about a model that is not here."""

    def telling(method):
        def asked(self, name, *args, **more):
            try:
                return method(self, name, *args, **more)
            except MlflowException as e:
                if "not found" not in str(e):
                    raise
                raise MlflowException(str(e) + ELSEWHERE.format(name=name), error_code=1001) from None  # RESOURCE_DOES_NOT_EXIST

        return asked

    for name in ("get_registered_model", "get_latest_versions", "get_model_version", "get_model_version_by_alias", "get_model_version_download_uri"):
        if hasattr(FileStore, name):
            setattr(Told, name, telling(getattr(FileStore, name)))
    return Told(store_uri)
