"""`registry`: what was trained (MLflow), which of it serves, and how that changes: only through gate.py.

Keeps runs and files in PARLEY_HOME/training/mlflow, or where MLFLOW_TRACKING_URI says. Workers read neither: they
watch PARLEY_HOME/adapters/champion.json, which is written here. Trains and asks nothing.
"""

import argparse
import json
import logging
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from . import gate
from .base import home, sha256
from .export import GGUF_NAME, MANIFEST_NAME, PEFT_NAME
from .failure import TrainingFailure

REPOSITORY = Path(__file__).resolve().parents[2]
HISTORY = "champions"
"""Tag of the registered model: the versions that were promoted and not rolled back, oldest first, as JSON."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its own commands, and where things are."""
    parser.add_argument("--name", default="oakfell", help="registered model: one for each village")
    parser.add_argument("--results", type=Path, default=REPOSITORY / "evaluation" / "results", help="of npm run eval")
    parser.add_argument("--questions", type=Path, default=REPOSITORY / "evaluation" / "questions")
    parser.add_argument("--npcs", type=Path, default=REPOSITORY / "npcs", help="the shipped adapter is in adapters/")
    rows = parser.add_subparsers(dest="action", required=True)
    log = rows.add_parser("log", help="take a trained adapter into the registry, as the challenger")
    finished = home() / "training" / "sft"
    log.add_argument(
        "run", type=Path, nargs="?", default=finished, help=f"folder of a run, with {GGUF_NAME} and {MANIFEST_NAME}"
    )
    promote = rows.add_parser("promote", help="make a version the champion, if it passes the gate")
    promote.add_argument("version", nargs="?", help="without one: the challenger")
    rows.add_parser("rollback", help="return to the champion before")
    rows.add_parser("show", help="list the versions")


def run(options: argparse.Namespace) -> None:
    """Does what `options.action` says. Throws a TrainingFailure with what to do."""
    registry = Registry(options.name)
    match options.action:
        case "log":
            registry.log(options.run)
        case "promote":
            registry.promote(options.version, options)
        case "rollback":
            registry.rollback()
        case "show":
            registry.show()


class Registry:
    """One registered model with its versions and aliases."""

    def __init__(self, name: str) -> None:
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self.name = name
        self.folder = home() / "training" / "mlflow"
        self.own = not os.environ.get("MLFLOW_TRACKING_URI")
        if self.own:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}" if self.own else None)

    def log(self, folder: Path) -> str:
        """Takes a run's folder in and makes it the challenger; returns the version. One that is there already is not
        taken twice."""
        manifest = _read_manifest(folder)
        file = folder / GGUF_NAME
        hash = sha256(file)
        if hash != manifest["adapter"]["sha256"]:
            raise TrainingFailure(f"{file} is not the file of {folder / MANIFEST_NAME}. Export it again")
        version = next((v.version for v in self.versions() if v.tags.get("adapter.sha256") == hash), None)
        if version is None:
            version = self._create(folder, manifest, hash)
        self.client.set_registered_model_alias(self.name, "challenger", version)
        print(f"{self.name} {version} is the challenger (SHA-256 {hash[:12]})", flush=True)
        return version

    def promote(self, wanted: str | None, options: argparse.Namespace) -> None:
        """Makes a version the champion. Throws a TrainingFailure with the figures when the gate refuses it."""
        version = self._version(wanted)
        champion = self._alias("champion")
        if champion and champion.version == version.version:
            self._install(version)
            print(f"{self.name} {version.version} is the champion already; its files were written again", flush=True)
            return
        hash = version.tags["adapter.sha256"]
        results = _read_results(options.results)
        ask = f"npm run eval -- --arm base --arm champion --arm challenger={self._artifact_hint(version)}"
        challenger = results.get(hash)
        if challenger is None:
            raise TrainingFailure(f"{options.results} has no result of {self.name} {version.version}. Run: {ask}")
        what, serving = self._serving(champion, version, options.npcs)
        if serving not in results:
            raise TrainingFailure(f"{options.results} has no result of {what}. Run: {ask}")
        verdict = gate.judge(challenger, results[serving], _read_kinds(options.questions))
        self._note(version, verdict, challenger)
        print(f"{self.name} {version.version} beside {what}:", flush=True)
        for line in verdict.figures:
            print(f"  {line}", flush=True)
        if verdict.faults:
            raise TrainingFailure(f"{self.name} {version.version} is not promoted: {'; '.join(verdict.faults)}")
        self._crown(version, [*self._history(), str(version.version)])
        if (second := self._alias("challenger")) and second.version == version.version:
            self.client.delete_registered_model_alias(self.name, "challenger")
        print(f"{self.name} {version.version} is the champion; running workers take it up by themselves", flush=True)

    def rollback(self) -> None:
        """Returns to the champion before, or to none: then the shipped adapter serves, or the model alone."""
        history = self._history()
        if not history:
            raise TrainingFailure("there is no champion to go back from. `npm run promote` makes one")
        *before, gone = history
        if before:
            self._crown(self.client.get_model_version(self.name, before[-1]), before)
            print(f"{self.name} {before[-1]} is the champion again, {gone} no more", flush=True)
            return
        champion_file().unlink(missing_ok=True)
        self.client.delete_registered_model_alias(self.name, "champion")
        self.client.set_registered_model_tag(self.name, HISTORY, "[]")
        print(f"{self.name} {gone} is the champion no more; workers go back to the shipped adapter", flush=True)

    def show(self) -> None:
        """Prints the versions, newest first."""
        aliases = {alias: held.version for alias in ("champion", "challenger") if (held := self._alias(alias))}
        for version in sorted(self.versions(), key=lambda v: int(v.version), reverse=True):
            held = " ".join(alias for alias, of in aliases.items() if of == version.version)
            tags, metrics = version.tags, self.client.get_run(version.run_id).data.metrics
            accuracy = f"{metrics['eval.accuracy']:.3f}" if "eval.accuracy" in metrics else "not judged"
            print(
                f"{self.name} {version.version}  {tags.get('kind', '')}  {tags['adapter.sha256'][:12]}  "
                f"data {tags.get('data.sha256', '')[:12]}  accuracy {accuracy}  {held}".rstrip(),
                flush=True,
            )

    def versions(self) -> list[ModelVersion]:
        """All versions, in no order."""
        return list(self.client.search_model_versions(f"name = '{self.name}'"))

    def _create(self, folder: Path, manifest: dict, hash: str) -> str:
        experiment = self.client.get_experiment_by_name(self.name)
        place = (self.folder / "artifacts").as_uri() if self.own else None
        experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(self.name, place)
        tags = {"kind": manifest["kind"], "adapter.sha256": hash, "base.sha256": manifest["base"]["sha256"]}
        if "data" in manifest:
            tags["data.sha256"] = manifest["data"]["sha256"]
        made = self.client.create_run(experiment_id, run_name=f"{manifest['kind']} {hash[:8]}", tags=tags)
        run_id = made.info.run_id
        settings = manifest.get("settings", {}) | {f"version.{k}": v for k, v in manifest.get("versions", {}).items()}
        metrics = {key: value for key, value in _flat(manifest.get("results", {})).items() if _is_number(value)}
        self.client.log_batch(
            run_id,
            params=[Param(key, str(value)[:6000]) for key, value in _flat(settings).items()],
            metrics=[Metric(key, float(value), made.info.start_time, 0) for key, value in metrics.items()],
            tags=[RunTag("manifest", json.dumps(manifest)[:5000])],
        )
        for name in (GGUF_NAME, MANIFEST_NAME):
            self.client.log_artifact(run_id, str(folder / name), "adapter")
        if (folder / PEFT_NAME).is_dir():
            self.client.log_artifacts(run_id, str(folder / PEFT_NAME), f"adapter/{PEFT_NAME}")
        self.client.set_terminated(run_id)
        try:
            self.client.get_registered_model(self.name)
        except MlflowException:
            self.client.create_registered_model(self.name)
        source = f"{made.info.artifact_uri}/adapter"
        return self.client.create_model_version(self.name, source, run_id=run_id, tags=tags).version

    def _note(self, version: ModelVersion, verdict: gate.Verdict, result: dict) -> None:
        """Keeps what the gate saw with the run, also when it refused."""
        for key, value in verdict.metrics.items():
            self.client.log_metric(version.run_id, key, value)
        self.client.log_dict(version.run_id, result, "evaluation.json")
        self.client.log_dict(version.run_id, {"figures": verdict.figures, "faults": verdict.faults}, "gate.json")

    def _crown(self, version: ModelVersion, history: list[str]) -> None:
        """Writes the files last: whoever was interrupted repeats the command."""
        self.client.set_registered_model_alias(self.name, "champion", version.version)
        self.client.set_registered_model_tag(self.name, HISTORY, json.dumps(history))
        self._install(version)

    def _install(self, version: ModelVersion) -> None:
        """Copies the adapter beside champion.json, which is renamed into place: a worker sees the old or the new."""
        folder = champion_file().parent
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}-{version.version}.gguf"
        with TemporaryDirectory(dir=folder) as scratch:
            fetched = Path(self.client.download_artifacts(version.run_id, "adapter", scratch))
            manifest = _read_manifest(fetched)
            hash = sha256(fetched / GGUF_NAME)
            if hash != version.tags["adapter.sha256"]:
                raise TrainingFailure(
                    f"the registry's file of {self.name} {version.version} is damaged. Take the run in again"
                )
            about = {"name": self.name, "version": str(version.version), "file": file.name, "sha256": hash}
            champion = about | manifest | about
            (Path(scratch) / "champion.json").write_text(json.dumps(champion, indent=2) + "\n", "utf8")
            # Not moved, since a local registry hands out its own file and not a copy.
            shutil.copyfile(fetched / GGUF_NAME, Path(scratch) / file.name)
            (Path(scratch) / file.name).replace(file)
            (Path(scratch) / "champion.json").replace(champion_file())

    def _serving(self, champion: ModelVersion | None, version: ModelVersion, npcs: Path) -> tuple[str, str]:
        """What serves now, in words, and the hash of its adapter ('' for none): champion, shipped adapter or base."""
        if champion:
            return f"the champion, {self.name} {champion.version}", champion.tags["adapter.sha256"]
        for file in sorted((npcs / "adapters").glob("*.json")):
            shipped = json.loads(file.read_text("utf8"))
            fits = shipped["base"]["sha256"] == version.tags["base.sha256"]
            if fits and shipped["sha256"] != version.tags["adapter.sha256"]:
                return f"the shipped adapter, {shipped['name']}", shipped["sha256"]
        return "the base", ""

    def _version(self, wanted: str | None) -> ModelVersion:
        if wanted is None:
            if version := self._alias("challenger"):
                return version
            raise TrainingFailure("there is no challenger. Take a run in: npm run train -- registry log [FOLDER]")
        for version in self.versions():
            if str(version.version) == wanted:
                return version
        known = ", ".join(str(number) for number in sorted(int(v.version) for v in self.versions())) or "none"
        raise TrainingFailure(f"{self.name} has no version {wanted}; there are: {known}")

    def _alias(self, alias: str) -> ModelVersion | None:
        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException:
            return None

    def _history(self) -> list[str]:
        try:
            return json.loads(self.client.get_registered_model(self.name).tags.get(HISTORY, "[]"))
        except MlflowException:
            return []

    def _artifact_hint(self, version: ModelVersion) -> str:
        """Where a person finds the file of a version."""
        return f"{version.source}/{GGUF_NAME}".removeprefix("file://")


def champion_file() -> Path:
    """What workers watch (tiers/adapters.ts)."""
    return home() / "adapters" / "champion.json"


def _read_manifest(folder: Path) -> dict:
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text("utf8"))
        (folder / GGUF_NAME).stat()
        return {"kind": manifest["kind"], "base": manifest["base"], "adapter": manifest["adapter"], **manifest}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingFailure(f"{folder} is no folder of a finished run ({error}). Run: npm run train") from error


def _read_results(folder: Path) -> dict[str, dict]:
    """Results of `npm run eval` by the hash of their adapter; '' is the base."""
    results = {}
    for file in sorted(folder.glob("*.json")):
        try:
            result = json.loads(file.read_text("utf8"))
            results[result["adapter"]["sha256"] if result["adapter"] else ""] = result
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingFailure(f"{file} is no result of npm run eval ({error}). Remove it") from error
    return results


def _read_kinds(folder: Path) -> dict[str, str]:
    """The kind of every held-out question, by its id."""
    kinds = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text("utf8").splitlines():
            if line.strip():
                question = json.loads(line)
                kinds[question["id"]] = question["kind"]
    return kinds


def _flat(value: dict, before: str = "") -> dict[str, object]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, object] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = inner
    return flat


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
