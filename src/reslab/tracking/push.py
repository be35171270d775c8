"""Uploads what W&B has not got of runs that have ended, from their folders: logged offline, not at all, or cut."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reslab.runs.folder import RunFolder, read_json
from reslab.runs.integrity import UNREADABLE, problems
from reslab.runs.reading import read_config
from reslab.runs.readings import read_readings
from reslab.runs.status import DONE, state
from reslab.tracking import mirror
from reslab.tracking.remote import Remote, known_places, log_pictures


@dataclass(frozen=True)
class Ended:
    """A run that has ended, as its folder tells."""

    folder: RunFolder
    config: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its id at W&B."""
        return mirror.run_id(self.config, mirror.origin(self.folder))

    @property
    def result(self) -> dict[str, Any]:
        """What it came to."""
        return read_json(self.folder.result) or {}

    @property
    def record(self) -> str:
        """Names rows and result: another name, another record."""
        return mirror.digest(mirror.rows(self.folder), self.result)


@dataclass(frozen=True)
class Pushed:
    """What became of one run: `there` was complete before, `tagged` lacked the experiment's tag, the rest was sent."""

    run: Ended
    did: Literal["there", "tagged", "made", "completed"]
    rows: int


def gather(outputs: Path, entries: Sequence[Mapping[str, Any]]) -> tuple[list[Ended], list[str]]:
    """The planned runs that have ended, and a sentence for each that cannot be trusted and is left out."""
    ended, left = [], []
    for entry in entries:
        folder = RunFolder(outputs / entry["folder"])
        if state(folder) not in ("ended", "failed", "other schema"):
            continue
        wrong = problems(folder, entry)
        config = None if wrong else _config(folder, entry)
        if config is None:
            left.append(f"{entry['label']} seed={entry['seed']}: {(*wrong, UNREADABLE)[0]}")
        else:
            ended.append(Ended(folder, config))
    return ended, left


def _config(folder: RunFolder, entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """All of it, where `problems` has read what makes the cell; None if the rest was edited."""
    try:
        config: Any = read_config(folder.config)
        mirror.identity(config, mirror.origin(folder))
        own = (config["run"]["cell"], config["seed"]) == (entry["cell"], entry["seed"])
        return config if own and isinstance(config["tracking"], Mapping) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def push_runs(remote: Remote, runs: Sequence[Ended], experiment: str, tell: Callable[[Pushed], object]) -> list[Pushed]:
    """Make W&B complete for each run; `tell` hears of each. ValueError where the server stops answering."""
    done: list[Pushed] = []
    try:
        found = remote.runs([run.id for run in runs])
        for run in runs:
            done.append(_push(remote, run, found.get(run.id), experiment))
            tell(done[-1])
    except Exception as error:  # W&B's own kinds of error change with its versions
        raise ValueError(f"{len(done)} of {len(runs)} runs are complete at W&B; {remote.say(error)}") from error
    return done


def _push(remote: Remote, run: Ended, there: Any | None, experiment: str) -> Pushed:
    """One run: looked at, then sent if anything lacks. A run is stamped with its record once all of it is there."""
    record, own = run.record, mirror.rows(run.folder)
    if there is None:
        _send(remote, run, own, record, [experiment])
        return Pushed(run, "made", len(own))
    whole = there.state == ("finished" if _went_well(run.result) else "failed")
    if whole and there.summary_metrics.get(mirror.RECORD) == record:
        return Pushed(run, "tagged" if _add_tag(there, experiment) else "there", 0)
    lacking = mirror.missing(own, known_places(there))
    if whole and not lacking and _holds(there, run.result):
        there.summary[mirror.RECORD] = record
        there.summary.update()
        return Pushed(run, "tagged" if _add_tag(there, experiment) else "there", 0)
    _send(remote, run, lacking, record, [experiment, *there.tags])
    return Pushed(run, "completed", len(lacking))


def _send(remote: Remote, run: Ended, rows: Sequence[mirror.Row], record: str, tags: Sequence[str]) -> None:
    options = mirror.identity(run.config, mirror.origin(run.folder))
    options["tags"] = sorted({*options["tags"], *map(mirror.tag, tags)})
    with remote.opened(options, code=0 if _went_well(run.result) else 1) as opened:
        for row in rows:
            opened.log(row)
        log_pictures(opened, _readings(run.folder), mirror.origin(run.folder))
        opened.summary.update(mirror.summary(run.result) | {mirror.RECORD: record})


def _readings(folder: RunFolder) -> Collection[Sequence[Any]]:
    """A file that cannot be read counts as absent."""
    try:
        return read_readings(folder).rows()
    except ValueError:
        return ()


def _went_well(result: Mapping[str, Any]) -> bool:
    """Diverged and at-chance runs did: they are results."""
    return result["outcome"] in DONE


def _holds(there: Any, result: Mapping[str, Any]) -> bool:
    """Whether W&B's summary has every value of the result that the run itself sent."""
    return all(there.summary_metrics.get(key) == value for key, value in mirror.summary(result).items())


def _add_tag(there: Any, experiment: str) -> bool:
    """A run that two experiments asked for is found under both names."""
    if mirror.tag(experiment) in there.tags:
        return False
    there.tags = [*there.tags, mirror.tag(experiment)]
    there.update()
    return True
