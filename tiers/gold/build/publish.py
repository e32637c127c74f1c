"""Publishes a model repository and goes back to an earlier one. A release appears whole or not at all; `current` is a link
that is swapped by one rename, so that a Triton that starts reads either the old or the new one. Starts nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from graph import BuildFailure


def publish(repository: Path, manifest: dict, root: Path) -> Path:
    """Copies the repository to `releases/ID` below root and points `current` at it. The manifest's `smoke.passed` must be
    true. Returns the release's folder."""
    if manifest.get("smoke", {}).get("passed") is not True:
        raise BuildFailure("not published: its smoke test has not passed")
    release = root / "releases" / manifest["id"]
    if not release.is_dir():
        part = release.with_name(f".{release.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(repository, part / "repository", ignore=shutil.ignore_patterns("done.json"))
        (part / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf8")
        part.rename(release)
    point(root, release.name)
    return release


def rollback(root: Path, to: str | None = None) -> str:
    """Points `current` at the release before it, or at the one named. Returns its id. Throws a BuildFailure if there is none."""
    trail = history(root)
    now = trail[-1] if trail else None
    earlier = [name for name in trail if name != now and (root / "releases" / name).is_dir()]
    target = to or (earlier[-1] if earlier else None)
    if target is None:
        raise BuildFailure(f"there is no earlier release in {root}")
    if not (root / "releases" / target).is_dir():
        there = ", ".join(sorted(path.name for path in (root / "releases").glob("[!.]*"))) or "none"
        raise BuildFailure(f"there is no release {target} in {root}; there are {there}")
    point(root, target)
    return target


def point(root: Path, name: str) -> None:
    """Makes `current` the link to a release, in one step, and notes it in `history.jsonl`."""
    link = root / ".current.part"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("releases") / name)
    os.replace(link, root / "current")
    with (root / "history.jsonl").open("a", encoding="utf8") as trail:
        trail.write(json.dumps(name) + "\n")


def history(root: Path) -> list[str]:
    """The releases that were current, oldest first; the last is current now."""
    try:
        return [json.loads(line) for line in (root / "history.jsonl").read_text("utf8").splitlines() if line]
    except FileNotFoundError:
        return []
